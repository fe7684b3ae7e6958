"""P3: the five styles, 5 x 5. Every content is put into every style and moved from each to each.

The reference is the other half of the sample in the wanted style, the target the same half in it: the truth is known, and
style is not confounded with content.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stylefx.audio.distance import mr_stft
from stylefx.corpus.reader import SampleRef
from stylefx.evaluation.content import STYLES, apply_style, content_name, dry_half, style_steps
from stylefx.evaluation.harm import MR_STFT_SHARE
from stylefx.evaluation.job import EvaluationJob
from stylefx.evaluation.pairs import Pair, other_half, processed_half
from stylefx.evaluation.report import Report, Table
from stylefx.evaluation.summary import summarise, summarise_ratio
from stylefx.figures.style import drawing, heat_map

NAMES = tuple(STYLES)
DEFAULT_ITEMS = 16


def run(job: EvaluationJob) -> Report:
    """MR-STFT distance of every system for all 25 directions."""
    refs = job.some_refs(DEFAULT_ITEMS)
    systems = [s for s in job.systems if s.name in ("input", "rule-based", "model", "oracle")]
    titles = {s.name: s.title for s in systems}
    items: list[dict[str, Any]] = []
    for ref in refs:
        pairs = styled_pairs(job, ref)
        distances = {}
        for system in systems:
            outcomes = system([pair for _, _, pair in pairs])
            values = job.map(_distance, [(o.output, pair.target) for o, (_, _, pair) in zip(outcomes, pairs, strict=True)])
            distances[system.name] = np.array(values).reshape(len(NAMES), len(NAMES))
        items.append({"key": ref.key, "group": ref.group, "mr_stft": distances})
    matrices = {n: np.nanmean([item["mr_stft"][n] for item in items], axis=0) for n in titles}
    summaries = _summaries(items, list(titles), job.seed)
    return Report(
        protocol="p3",
        title="The five styles",
        question="Each held-out content is put into five styles and moved from each (rows) to each (columns); the reference is "
        "other content in the wanted style. Off the diagonal the distance should fall, on it nothing should change.",
        setup=job.describe(refs) | {"styles": "/".join(NAMES), "contents": content_name(job.corpus)},
        results={"styles": NAMES, "mean_mr_stft": matrices, "systems": summaries, "items": items},
        tables=_tables(summaries, matrices, titles),
        draw=lambda path: _draw(path, matrices, titles),
    )


def styled_pairs(job: EvaluationJob, ref: SampleRef) -> list[tuple[str, str, Pair]]:
    """(source style, wanted style, pair) for all 25 directions of one content; one drawing of each style per content."""
    half, rate = processed_half(ref.key), job.corpus.sample_rate
    audio = {h: dry_half(job.corpus, ref, h) for h in ("a", "b")}
    steps = {name: style_steps(name, job.seed, ref.key) for name in NAMES}
    here = dict(zip(NAMES, job.map(lambda n: apply_style(audio[half], steps[n], rate), NAMES), strict=True))
    there = dict(zip(NAMES, job.map(lambda n: apply_style(audio[other_half(half)], steps[n], rate), NAMES), strict=True))
    return [
        (source, wanted, Pair(ref.key, ref.source, ref.group, half, rate, here[source], there[wanted], here[wanted]))
        for source in NAMES
        for wanted in NAMES
    ]


def _distance(signals: tuple[np.ndarray, np.ndarray]) -> float:
    return mr_stft(*signals) if np.isfinite(signals[0]).all() else float("nan")


def _summaries(items: Sequence[dict[str, Any]], names: Sequence[str], seed: int) -> dict[str, Any]:
    """Share of the distance left off the diagonal, and the distance that arises on it."""
    groups, off = [item["group"] for item in items], ~np.eye(len(NAMES), dtype=bool)
    before = [item["mr_stft"]["input"][off].mean() for item in items]
    out = {}
    for name in names:
        out[name] = {
            "share_left": summarise_ratio([item["mr_stft"][name][off].mean() for item in items], before, groups, seed),
            "other_style_mr_stft": summarise([item["mr_stft"][name][off].mean() for item in items], groups, seed),
            "same_style_mr_stft": summarise([np.diag(item["mr_stft"][name]).mean() for item in items], groups, seed),
        }
        harms = [_harm(item["mr_stft"]["input"][off], item["mr_stft"][name][off]) for item in items]
        out[name]["harm"] = summarise(harms, groups, seed)
    return out


def _harm(before: np.ndarray, after: np.ndarray) -> float:
    """Share of one content's directions that end further from the target than they began (NaN: one failed)."""
    return float(np.mean(after > before * (1.0 + MR_STFT_SHARE))) if np.isfinite(after).all() else float("nan")


def _tables(summaries: dict[str, Any], matrices: dict[str, Any], titles: dict[str, Any]) -> list[Table]:
    rows = [[titles[n], *(s.text() for s in values.values())] for n, values in summaries.items()]
    columns = ["system", "share of the input's MR-STFT distance left", "MR-STFT, other style", "MR-STFT, same style", "harm"]
    note = "Same style: how far what is right already is moved. Harm: directions that end over 2 % further away."
    tables = [Table("From style to style", columns, rows, note)]
    share = matrices["model"] / np.where(matrices["input"] > 0, matrices["input"], np.nan)
    cells = [[_cell(i, j, share, matrices["model"]) for j in range(len(NAMES))] for i in range(len(NAMES))]
    note = "Rows: from, columns: to. On the diagonal the MR-STFT distance that arose where nothing should change."
    return [*tables, Table("Model: share left per direction", ["from", *NAMES], _labelled(cells), note)]


def _cell(i: int, j: int, share: np.ndarray, distance: np.ndarray) -> str:
    return f"({distance[i, j]:.2f})" if i == j else f"{share[i, j]:.2f}"


def _labelled(cells: Sequence[Sequence[str]]) -> list[list[str]]:
    return [[name, *row] for name, row in zip(NAMES, cells, strict=True)]


def _draw(path: Path, matrices: dict[str, Any], titles: dict[str, Any]) -> None:
    top = max(float(np.nanmax(m)) for m in matrices.values())
    with drawing(path, 4.6 * len(titles), 4.6) as figure:
        axes = np.atleast_1d(figure.subplots(1, len(titles)))
        for axis, (name, title) in zip(axes, titles.items(), strict=True):
            heat_map(axis, matrices[name], NAMES, NAMES, high=top)
            axis.set_title(f"{title}: MR-STFT to the target")
            axis.set_xlabel("to the style")
            axis.set_ylabel("from the style" if name == "input" else "")
