"""P9: transfer across content, as people use it: make this recording sound like that other one. Two questions of one output.

*Style*: what was done to the reference is to be done to the content. The truth is the same chain on the content.
*Balance*: spectrum and dynamics of the output are to be the reference's, whatever made them so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stylefx.evaluation.across import PlannedTransfer, make_pair, plan_transfers
from stylefx.evaluation.content import content_name
from stylefx.evaluation.job import EvaluationJob
from stylefx.evaluation.metrics.character import CHARACTER, Character
from stylefx.evaluation.pairs import Pair
from stylefx.evaluation.protocols.across_results import by_part, summarise_kind, tables
from stylefx.evaluation.report import Report
from stylefx.evaluation.systems.base import SystemOutput
from stylefx.figures.style import drawing, palette

DEFAULT_ITEMS = 200


def run(job: EvaluationJob) -> Report:
    """Measure every system on ``items`` transfers of each kind (default 200)."""
    plans = plan_transfers(job.samples(), job.items or DEFAULT_ITEMS, job.seed)
    limit = job.oracle_items
    solved = None if limit is None else {p.name for p in plans if int(p.name.rsplit("-", 1)[1]) < limit}
    items = []
    for start in range(0, len(plans), job.batch):
        part = plans[start : start + job.batch]
        pairs = job.map(lambda planned: make_pair(job.corpus, planned, job.engine), part)
        made = zip(part, pairs, job.outcomes(pairs, solved), strict=True)
        items += job.map(lambda one: _measure(*one), made)
    titles = {s.name: s.title for s in job.systems}
    kinds = by_part(items, "label")
    results = {kind: summarise_kind(found, list(titles), job.seed) for kind, found in kinds.items()}
    return Report(
        protocol="p9",
        title="Transfer across content",
        question="The input is a recording as it is, the reference another group's recording of the same kind. One drawn chain "
        "makes truth and reference. All signals are compared at one loudness. Style: distance to the truth. Balance: distance "
        "to the reference. Harm: share of the items that end further from the truth than the input was.",
        setup=_setup(job, plans),
        results={"kinds": results, "items": items},
        tables=tables(results, kinds, titles, job.seed),
        draw=lambda path: _draw(path, results, titles),
        notes=_notes(job, plans),
    )


def _measure(planned: PlannedTransfer, pair: Pair, outcomes: dict[str, SystemOutput]) -> dict[str, Any]:
    """One item: distances of every system's output to the truth, to the reference, and to the input."""
    rate = pair.sample_rate
    truth, source = (Character.of(x, rate) for x in (pair.target, pair.input))
    reference = Character.of(pair.reference, rate, spectra=False)
    values, settings = {}, {}
    for name, outcome in outcomes.items():
        values[name] = _distances(outcome.output, rate, truth, source, reference)
        if outcome.settings is not None:
            settings[name] = outcome.settings
    return {
        "key": pair.key, "content": planned.content.key, "reference": planned.reference.key, "style": planned.style,
        "source": pair.source, "label": pair.label, "group": pair.group, "metrics": values, "settings": settings,
    }  # fmt: skip


def _distances(output: np.ndarray, rate: int, truth: Character, source: Character, reference: Character) -> dict[str, Any]:
    if not np.isfinite(output).all():
        failed = dict.fromkeys((*CHARACTER, "mr_stft"), math.nan)
        return {"truth": failed, "moved": failed, "reference": dict.fromkeys(CHARACTER, math.nan)}
    mine = Character.of(output, rate)
    return {
        "truth": mine.distance(truth) | {"mr_stft": mine.mr_stft(truth)},
        "moved": mine.distance(source) | {"mr_stft": mine.mr_stft(source)},
        "reference": mine.distance(reference),
    }


def _setup(job: EvaluationJob, plans: Sequence[PlannedTransfer]) -> dict[str, Any]:
    found = job.describe([p.content for p in plans])
    return found | {"contents": content_name(job.corpus), "effects_by": job.engine, "seed": job.seed}


def _notes(job: EvaluationJob, plans: Sequence[PlannedTransfer]) -> list[str]:
    """Kinds that were left out, and contents that are not as they were recorded."""
    notes = []
    labels = {ref.label or "" for ref in job.samples()}
    left = sorted(labels - {p.content.label or "" for p in plans})
    if left:
        notes.append(f"Left out, since all of it is of one group: {', '.join(repr(kind) for kind in left)}.")
    if job.corpus.extras not in ("dry", "both"):
        notes.append("The corpus stores no dry halves: inputs are those of its input branch, which may be processed already.")
    return notes


def _draw(path: Path, results: dict[str, Any], titles: dict[str, str]) -> None:
    """One line per kind and intent: what every system leaves of the input's distance, with its interval."""
    names = [n for n in titles if n != "input"]
    colours = palette(list(titles))
    panels = [(kind, intent) for kind in results for intent in ("style", "balance")]
    with drawing(path, 11, 0.9 + 0.34 * len(names) * math.ceil(len(panels) / 2) + 1.1 * math.ceil(len(panels) / 2)) as figure:
        axes = np.atleast_2d(figure.subplots(math.ceil(len(panels) / 2), 2, sharex="col")).ravel()
        for axis, (kind, intent) in zip(axes, panels, strict=True):
            for row, name in enumerate(names):
                found = results[kind]["systems"].get(name)
                if found is None or not math.isfinite(found[intent]["octave_share"].mean):
                    continue
                share = found[intent]["octave_share"]
                spread = [[max(0.0, share.mean - share.low)], [max(0.0, share.high - share.mean)]]
                axis.errorbar([share.mean], [row], xerr=spread, fmt="o", color=colours[name], capsize=3)
            axis.axvline(1.0, linestyle=":", color="#9aa0a8")
            axis.set_yticks(range(len(names)), [titles[n] for n in names])
            axis.set_ylim(len(names) - 0.5, -0.5)
            axis.set_xlim(left=0)
            to = "truth" if intent == "style" else "reference"
            axis.set_title(f"{kind or 'all'}, {intent}")
            axis.set_xlabel(f"Third-octave distance to the {to}, of the input's")
