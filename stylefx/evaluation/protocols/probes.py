"""P4: linear probes of the frozen embedding. Can a straight cut tell the five styles apart on unheard speakers and albums?

Every content gets every style, so that content says nothing about the label; the probe learns on the training split and is
tested on the held-out split, whose groups are others.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stylefx.corpus.reader import SampleRef
from stylefx.errors import UserError
from stylefx.evaluation.content import STYLES, apply_style, content_name, dry_half, style_steps
from stylefx.evaluation.job import EvaluationJob
from stylefx.evaluation.metrics.probes import Probe, band_levels_db, fit_with_held_out_groups
from stylefx.evaluation.pairs import choose, processed_half
from stylefx.evaluation.report import Report, Table
from stylefx.evaluation.summary import summarise
from stylefx.figures.style import drawing, heat_map

NAMES = tuple(STYLES)
TRAINING_CONTENTS, TEST_CONTENTS = 60, 40
FEATURES = {"embedding": "model's embedding", "bands": "24 band levels (no model)"}


def run(job: EvaluationJob) -> Report:
    """Accuracy per kind of features, the embedding's confusions."""
    test = job.some_refs(TEST_CONTENTS)
    train = choose(job.corpus.samples("train"), min(TRAINING_CONTENTS, job.training_items))
    common = {r.group for r in train} & {r.group for r in test}
    if common:
        raise UserError(f"the group {min(common)!r} is in the training split and in {job.split!r}; the probe would be told")
    sides = [_features(job, refs) for refs in (train, test)]
    labels = [np.tile(NAMES, len(refs)) for refs in (train, test)]
    groups = [[ref.group for ref in refs for _ in NAMES] for refs in (train, test)]
    results, predictions = {}, {}
    for kind in FEATURES:
        probe: Probe = fit_with_held_out_groups(sides[0][kind], labels[0], groups[0])
        predictions[kind] = probe.predict(sides[1][kind])
        right = (predictions[kind] == labels[1]).astype(float)
        per_style = {n: float(right[labels[1] == n].mean()) for n in NAMES}
        accuracy = summarise(right, groups[1], job.seed)
        results[kind] = {
            "accuracy": accuracy,
            "per_style": per_style,
            "penalty": probe.penalty,
            "features": sides[0][kind].shape[1],
        }
    confusion = _confusion(labels[1], predictions["embedding"])
    rows = [[FEATURES[k], r["accuracy"].text(), *(f"{r['per_style'][n]:.2f}" for n in NAMES)] for k, r in results.items()]
    columns = ["features", "accuracy", *NAMES]
    return Report(
        protocol="p4",
        title="Linear probes of the frozen embedding",
        question=f"Logistic regression on {len(train)} training contents in five styles each, tested on {len(test)} contents of "
        f"other groups. Chance is {1 / len(NAMES):.2f}.",
        setup=job.describe(test) | {"training_contents": len(train), "contents": content_name(job.corpus)},
        results={"styles": NAMES, "probes": results, "confusion": confusion},
        tables=[Table("Accuracy", columns, rows, "Columns of styles: share of their items that was recognised.")],
        draw=lambda path: _draw(path, confusion),
    )


def _features(job: EvaluationJob, refs: Sequence[SampleRef]) -> dict[str, np.ndarray]:
    """Features of every content in every style: contents vary slowest. (contents x styles, numbers) each."""
    rate = job.corpus.sample_rate
    rows: dict[str, list[Any]] = {kind: [] for kind in FEATURES}
    for ref in refs:
        content = dry_half(job.corpus, ref, processed_half(ref.key))
        styled = job.map(lambda n: apply_style(content, style_steps(n, job.seed, ref.key), rate), NAMES)  # noqa: B023
        rows["embedding"].append(job.model.embed(styled, rate))
        rows["bands"].append([band_levels_db(audio, rate) for audio in styled])
    return {kind: np.concatenate(found) for kind, found in rows.items()}


def _confusion(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Share of each true style (rows) taken for each style (columns)."""
    return np.array([[np.mean(predicted[truth == t] == p) for p in NAMES] for t in NAMES])


def _draw(path: Path, confusion: np.ndarray) -> None:
    with drawing(path, 5.6, 5) as figure:
        axis = figure.subplots()
        heat_map(axis, 100 * confusion, NAMES, NAMES, high=100, digits=0)
        axis.set(xlabel="heard as (%)", ylabel="true style")
        axis.set_title("Linear probe of the embedding")
