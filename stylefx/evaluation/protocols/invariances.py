"""P7: invariances. What should not change the result, and by how much it does.

* input gain: the reference sets the level, so the output should stay the same whatever the input's level;
* polarity: the output should be turned over with the input, and not notice a reference turned over;
* reference = input: nothing should change.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from stylefx.audio.distance import mr_stft
from stylefx.evaluation.job import EvaluationJob
from stylefx.evaluation.pairs import Pair, batches
from stylefx.evaluation.protocols.rates import curve_change_db
from stylefx.evaluation.report import Report, Table
from stylefx.evaluation.summary import summarise
from stylefx.figures.style import COLOURS, drawing

DEFAULT_ITEMS = 50
GAINS_DB = (-12.0, -6.0, 6.0)

Change = Callable[[Pair], Pair]


def _gain(gain_db: float) -> Change:
    return lambda pair: replace(pair, input=pair.input * np.float32(10 ** (gain_db / 20)))


#: name -> (title, change of the pair, sign of the expected output)
CHANGES: dict[str, tuple[str, Change, float]] = {
    **{f"input_gain_{g:+g}_db": (f"input {g:+g} dB", _gain(g), 1.0) for g in GAINS_DB},
    "input_polarity": ("input turned over", lambda pair: replace(pair, input=-pair.input), -1.0),
    "reference_polarity": ("reference turned over", lambda pair: replace(pair, reference=-pair.reference), 1.0),
}
IDENTITY = "reference_is_input"
NOTE = "0 is ideal. Waveform: RMS of the difference over RMS of the output; MR-STFT alone does not see polarity."
MEASURES = {"mr_stft": "MR-STFT", "waveform": "waveform", "eq_db": "EQ curve dB"}


def run(job: EvaluationJob) -> Report:
    """Distances between the outputs before and after each change, beside the distance from input to target."""
    refs = job.some_refs(DEFAULT_ITEMS)
    items = [item for pairs in batches(job.corpus, refs, job.batch) for item in measure_changes(job, pairs)]
    groups = [item["group"] for item in items]
    names = [*CHANGES, IDENTITY]
    results = {n: {m: summarise([i["changes"][n][m] for i in items], groups, job.seed) for m in MEASURES} for n in names}
    scale = summarise([i["input_to_target"] for i in items], groups, job.seed)
    titles = {n: t for n, (t, _, _) in CHANGES.items()} | {IDENTITY: "reference = input"}
    rows = [[titles[n], *(results[n][m].text() for m in MEASURES)] for n in names]
    rows.append(["for scale: input to target", scale.text(), "", ""])
    return Report(
        protocol="p7",
        title="Invariances",
        question="MR-STFT distance between the outputs before and after a change that should not matter, and the RMS change of "
        "the predicted equaliser curve up to a constant. With reference = input: distance of the output from the input.",
        setup=job.describe(refs),
        results={"changes": results, "input_to_target": scale, "items": items},
        tables=[Table("What should not change", ["change", *MEASURES.values()], rows, NOTE)],
        draw=lambda path: _draw(path, titles, results, scale.mean),
        notes=["This is the bare model; stylefx transfer brings a recording to the level of the training first."],
    )


def measure_changes(job: EvaluationJob, pairs: Sequence[Pair]) -> list[dict[str, Any]]:
    """One dict per pair: {"changes": {name: {measure: value}}, "input_to_target"}."""
    rate, chain = pairs[0].sample_rate, job.model.chain

    def transfer(some: Sequence[Pair]) -> tuple[np.ndarray, list[np.ndarray]]:
        controls = job.model.predict([p.input for p in some], [p.reference for p in some], rate)
        return controls, [job.model.render(p.input, c, rate).output for p, c in zip(some, controls, strict=True)]

    controls, outputs = transfer(pairs)
    scale = job.map(lambda p: mr_stft(p.input, p.target), pairs)
    items = [{"key": p.key, "group": p.group, "changes": {}, "input_to_target": s} for p, s in zip(pairs, scale, strict=True)]
    for name, (_, change, sign) in CHANGES.items():
        new_controls, new = transfer([change(p) for p in pairs])
        expected = [(y, np.float32(sign) * x) for y, x in zip(outputs, new, strict=True)]
        _write(job, items, name, expected, [curve_change_db(chain, *c, rate) for c in zip(new_controls, controls, strict=True)])
    same, unchanged = transfer([replace(p, reference=p.input) for p in pairs])
    expected = [(p.input, y) for y, p in zip(unchanged, pairs, strict=True)]
    _write(job, items, IDENTITY, expected, [curve_change_db(chain, c, chain.default_controls, rate) for c in same])
    return items


def _write(
    job: EvaluationJob, items: Sequence[dict[str, Any]], name: str, signals: Sequence[Any], moved_db: Sequence[float]
) -> None:
    """Measure (expected, found) of each item and note it under the change's name."""
    distance, difference = job.map(lambda one: mr_stft(*one), signals), job.map(lambda one: waveform_change(*one), signals)
    for item, *values in zip(items, distance, difference, moved_db, strict=True):
        item["changes"][name] = dict(zip(MEASURES, values, strict=True))


def waveform_change(expected: np.ndarray, found: np.ndarray) -> float:
    """RMS of the difference over the RMS of what was expected."""
    power = np.square(expected, dtype=np.float64).mean()
    return float(np.sqrt(np.square(found - expected, dtype=np.float64).mean() / power)) if power > 0 else float("nan")


def _draw(path: Path, titles: dict[str, str], results: dict[str, Any], scale: float) -> None:
    with drawing(path, 8.5, 4.2) as figure:
        axis = figure.subplots()
        names = list(titles)[::-1]
        mean = np.array([results[n]["mr_stft"].mean for n in names])
        spread = np.array([[r.mean - r.low, r.high - r.mean] for r in (results[n]["mr_stft"] for n in names)]).T
        axis.barh(range(len(names)), mean, xerr=np.maximum(spread, 0), color=COLOURS["output"], height=0.6, capsize=3)
        axis.axvline(scale, color=COLOURS["input"], linestyle="--", label="input to target, for scale")
        axis.set_yticks(range(len(names)), [titles[n] for n in names])
        axis.grid(axis="y", visible=False)
        axis.set_xlabel("MR-STFT distance between what should be equal")
        axis.set_title("Invariances")
        axis.legend(loc="best")
