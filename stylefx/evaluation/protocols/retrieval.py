"""P5: retrieval. Among many processed clips, find the one with the same settings on other content.

Every sample's target steps, or steps drawn for it by a preset, are put on its own content (the query) and on that of another
sample, of another group where there is one (the gallery): only the processing is shared.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stylefx import keyed
from stylefx.corpus.reader import SampleRef
from stylefx.errors import UserError
from stylefx.evaluation.content import LEVEL_DBFS, apply_style, content_name, dry_half, has_effects
from stylefx.evaluation.job import EvaluationJob
from stylefx.evaluation.metrics.probes import band_levels_db
from stylefx.evaluation.pairs import other_half, processed_half
from stylefx.evaluation.report import Report, Table
from stylefx.evaluation.summary import summarise
from stylefx.figures.style import COLOURS, drawing
from stylefx.recipes.chains import Level, NothingToDo
from stylefx.recipes.draw import Drawing
from stylefx.recipes.presets import resolve_chains

DEFAULT_ITEMS = 100
AT = (1, 5, 10)
FEATURES = {
    "style": "what the model believes was done",
    "embedding": "model's embedding",
    "bands": "24 band levels (no model)",
}
_COLOUR = {"style": "#3a9d5d", "embedding": COLOURS["output"], "bands": COLOURS["reference"]}


def run(job: EvaluationJob) -> Report:
    """Recall at 1, 5 and 10, and the median rank."""
    described = _described(job, job.some_refs(2 * DEFAULT_ITEMS))
    described = [(ref, steps) for ref, steps in described if has_effects(steps)]
    if job.items is None:
        described = described[:DEFAULT_ITEMS]
    if len(described) < 2:
        raise UserError(f"the split {job.split!r} has {len(described)} samples with effects on the target; retrieval needs 2")
    refs = [ref for ref, _ in described]
    partners = other_contents(refs, job.seed)
    query, gallery = _features(job, described, refs, processed_half), _features(job, described, partners, _other)
    groups = [ref.group for ref in refs]
    ranks = {kind: match_ranks(query[kind], gallery[kind]) for kind in query}
    results: dict[str, dict[str, Any]]
    results = {k: {f"recall_at_{n}": summarise(r <= n, groups, job.seed) for n in AT} for k, r in ranks.items()}
    for kind, rank in ranks.items():
        results[kind] |= {"median_rank": float(np.median(rank)), "ranks": rank}
    rows = [[FEATURES[k], *(r[f"recall_at_{n}"].text() for n in AT), f"{r['median_rank']:.0f}"] for k, r in results.items()]
    rows.append(["chance", *(f"{min(1.0, n / len(refs)):.3f}" for n in AT), f"{(len(refs) + 1) / 2:.0f}"])
    apart = float(np.mean([a.group != b.group for a, b in zip(refs, partners, strict=True)]))
    return Report(
        protocol="p5",
        title="Retrieval: same settings, other content",
        question=f"Each of {len(refs)} processed clips looks for its settings among {len(refs)} other contents (cosine).",
        setup=job.describe(refs) | {"contents": content_name(job.corpus), "preset": job.preset},
        results={"features": results, "share_of_other_groups": apart},
        tables=[Table("Recall", ["features", *(f"R@{n}" for n in AT), "median rank"], rows, "Higher recall is better.")],
        draw=lambda path: _draw(path, ranks),
        notes=[f"{100 * apart:.0f} % of the gallery's contents are of another group than their query."],
    )


def _described(job: EvaluationJob, refs: Sequence[SampleRef]) -> list[tuple[SampleRef, list[dict[str, Any]]]]:
    """Each sample with the steps that are put on contents."""
    if job.preset is None:
        return [(ref, job.corpus.metadata(ref).get("target", [])) for ref in refs]
    rate = job.corpus.sample_rate
    chains = resolve_chains(job.preset, None, (), rate)
    drawing = Drawing(job.seed, rate, Level(peak_dbfs=LEVEL_DBFS), NothingToDo())
    return [(ref, drawing.recipe(chains, ref.key, ref.label or "")["target"]) for ref in refs]


def _other(key: str) -> str:
    return other_half(processed_half(key))


def other_contents(refs: Sequence[SampleRef], seed: int) -> list[SampleRef]:
    """Another sample for each, a permutation without fixed points: shuffled by group, then moved on by the largest group's
    size, which leaves every group behind when no group has more than half of the samples."""
    key = [(keyed.integer(seed, "retrieval group", r.group), keyed.integer(seed, "retrieval", r.key)) for r in refs]
    order = sorted(range(len(refs)), key=key.__getitem__)
    sizes: dict[str, int] = {}
    for ref in refs:
        sizes[ref.group] = sizes.get(ref.group, 0) + 1
    shift = max(1, min(max(sizes.values()), len(refs) - 1))
    partner = {order[i]: order[(i + shift) % len(refs)] for i in range(len(refs))}
    return [refs[partner[i]] for i in range(len(refs))]


def _features(
    job: EvaluationJob, described: Sequence[Any], contents: Sequence[SampleRef], half_of: Callable[[str], str]
) -> dict[str, np.ndarray]:
    """Sample i's steps on content i: (samples, numbers) for each kind of features."""
    rate = job.corpus.sample_rate
    rows: dict[str, list[Any]] = {"embedding": [], "bands": []}
    for start in range(0, len(contents), job.batch):
        chunk = list(zip(described[start : start + job.batch], contents[start : start + job.batch], strict=True))
        audio = job.map(lambda one: apply_style(dry_half(job.corpus, one[1], half_of(one[1].key)), one[0][1], rate), chunk)
        rows["embedding"].append(job.model.embed(audio, rate))
        rows["bands"].append([band_levels_db(x, rate) for x in audio])
    features = {kind: np.concatenate(found) for kind, found in rows.items()}
    styles = job.model.styles(features["embedding"])
    return features if styles is None else {"style": styles, **features}


def match_ranks(query: np.ndarray, gallery: np.ndarray) -> np.ndarray:
    """Rank (1 = first) of gallery row i for query row i by cosine, after centring both; ties count against. (n, d) -> (n,)."""
    query, gallery = (x - x.mean(axis=0) for x in (query, gallery))
    query, gallery = (x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12) for x in (query, gallery))
    similarity = query @ gallery.T
    return (similarity >= np.diag(similarity)[:, None] - 1e-12).sum(axis=1)


def _draw(path: Path, ranks: dict[str, np.ndarray]) -> None:
    with drawing(path, 7, 4.6) as figure:
        axis = figure.subplots()
        count = len(next(iter(ranks.values())))
        place = np.arange(1, count + 1)
        for kind, rank in ranks.items():
            axis.step(place, [100 * np.mean(rank <= n) for n in place], where="post", color=_COLOUR[kind], label=FEATURES[kind])
        axis.plot(place, 100 * place / count, ":", color="#9aa0a8", label="chance")
        axis.set_xscale("log")
        ticks = [n for n in (1, 2, 5, 10, 20, 50, 100, 200, 500) if n <= count]
        axis.set_xticks(ticks, [str(n) for n in ticks])
        axis.set_xticks([], minor=True)
        axis.set(xlabel="Rank", ylabel="Queries found up to that rank (%)", ylim=(0, 101))
        axis.set_title(f"Same settings, other content, among {count}")
        axis.legend(loc="lower right")
