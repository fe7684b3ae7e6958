"""P6: one model at several sample rates. The pair is resampled, the model listens, the effects render at that rate.

Two ways to listen: at the model's own rate (what it was trained on; the audio is resampled for its ears only), and at the
audio's rate where the encoder takes any.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from stylefx.audio.distance import mr_stft
from stylefx.audio.resampling import resample
from stylefx.effects.chain import EffectChain
from stylefx.effects.curves import erb_grid, response_db, with_configs
from stylefx.evaluation.harm import harm_in_share
from stylefx.evaluation.job import EvaluationJob
from stylefx.evaluation.pairs import Pair, batches
from stylefx.evaluation.report import Report, Table
from stylefx.evaluation.summary import summarise, summarise_ratio
from stylefx.figures.style import COLOURS, drawing

RATES_HZ = (16000, 24000, 44100, 48000, 96000)
DEFAULT_ITEMS = 24
NOTE = (
    "Share of the input's MR-STFT distance left, when the model hears at its own rate and at the audio's. Above the corpus' rate "
    "the audio holds no more than before."
)
LISTENING = {"model": "hears at its own rate", "native": "hears at the audio's rate"}
COLUMNS = {"model": "own rate", "native": "audio's rate"}


def run(job: EvaluationJob) -> Report:
    """Share of the distance left at each rate, and how far the predicted equaliser moves from that at the corpus' rate."""
    refs, rate = job.some_refs(DEFAULT_ITEMS), job.corpus.sample_rate
    items = []
    for pairs in batches(job.corpus, refs, job.batch):
        found: list[dict[str, Any]] = [{"key": p.key, "group": p.group, "rates": {}} for p in pairs]
        at_home = {way: _listen(job, pairs, rate, way == "native") for way in LISTENING}
        for to_rate in RATES_HZ:
            moved = job.map(lambda pair: at_rate(pair, to_rate), pairs)  # noqa: B023
            before = job.map(lambda p: mr_stft(p.input, p.target), moved)
            for way in LISTENING:
                controls = _listen(job, moved, to_rate, way == "native")
                outputs = [job.model.render(p.input, c, to_rate).output for p, c in zip(moved, controls, strict=True)]
                after = job.map(lambda one: mr_stft(one[0], one[1].target), zip(outputs, moved, strict=True))
                for i, item in enumerate(found):
                    curve = curve_change_db(job.model.chain, controls[i], at_home[way][i], min(rate, to_rate))
                    item["rates"].setdefault(to_rate, {})[way] = {"before": before[i], "after": after[i], "eq_change_db": curve}
        items += found
    results = _results(items, job.seed)
    rows = [[f"{r / 1000:g} kHz", *(s.text() for way in LISTENING for s in results[r][way].values())] for r in RATES_HZ]
    columns = ["rate"]
    for title in COLUMNS.values():
        columns += [f"share left, {title}", f"harm, {title}", f"EQ moved dB, {title}"]
    return Report(
        protocol="p6",
        title="One model at five sample rates",
        question=f"The pairs are resampled from {rate} Hz to each rate and the effects render there. EQ moved: RMS difference, "
        "up to a constant, between the equaliser predicted there and at the corpus' rate.",
        setup=job.describe(refs),
        results={"rates": results, "items": items},
        tables=[Table("Rates", columns, rows, NOTE)],
        draw=lambda path: _draw(path, results),
    )


def at_rate(pair: Pair, rate: int) -> Pair:
    """The pair resampled."""
    moved: dict[str, Any] = {
        side: resample(getattr(pair, side), pair.sample_rate, rate) for side in ("input", "reference", "target")
    }
    return replace(pair, sample_rate=rate, **moved)


def _listen(job: EvaluationJob, pairs: Sequence[Pair], rate: int, native: bool) -> np.ndarray:
    return job.model.predict([p.input for p in pairs], [p.reference for p in pairs], rate, native=native)


def curve_change_db(chain: EffectChain, one: np.ndarray, other: np.ndarray, rate: float) -> float:
    """RMS difference of the equalisers of two control vectors up to a constant, from 40 Hz to 0.9 of the lower Nyquist, dB."""
    if not (np.isfinite(one).all() and np.isfinite(other).all()):
        return float("nan")
    grid = erb_grid(40.0, 0.45 * rate)
    # at one and the same high rate, so that only the prediction differs
    curves = [response_db(with_configs(chain, chain.settings(c)), 96000, grid) for c in (one, other)]
    difference = curves[0] - curves[1]
    return float(np.sqrt(np.mean(np.square(difference - difference.mean()))))


def _results(items: Sequence[dict[str, Any]], seed: int) -> dict[int, Any]:
    groups = [item["group"] for item in items]
    out: dict[int, Any] = {}
    for rate in RATES_HZ:
        out[rate] = {}
        for way in LISTENING:
            found = [item["rates"][rate][way] for item in items]
            share = summarise_ratio([f["after"] for f in found], [f["before"] for f in found], groups, seed)
            harm = harm_in_share([f["before"] for f in found], [f["after"] for f in found], groups, seed)
            moved = summarise([f["eq_change_db"] for f in found], groups, seed)
            out[rate][way] = {"share_left": share, "harm": harm, "eq_change_db": moved}
    return out


def _draw(path: Path, results: dict[int, Any]) -> None:
    with drawing(path, 11, 4.4) as figure:
        axes = figure.subplots(1, 2)
        place = np.arange(len(RATES_HZ))
        for axis, number, label in zip(
            axes, ("share_left", "eq_change_db"), ("Share of the input's MR-STFT distance left", "EQ moved (dB)"), strict=True
        ):
            for shift, (way, colour) in zip(
                (-0.06, 0.06), (("model", COLOURS["output"]), ("native", COLOURS["reference"])), strict=True
            ):
                summaries = [results[r][way][number] for r in RATES_HZ]
                mean = np.array([s.mean for s in summaries])
                spread = [mean - [s.low for s in summaries], np.array([s.high for s in summaries]) - mean]
                axis.errorbar(place + shift, mean, np.maximum(spread, 0), fmt="o-", color=colour, capsize=3, label=LISTENING[way])
            axis.set_xticks(place, [f"{r / 1000:g}" for r in RATES_HZ])
            axis.set_ylim(bottom=0)
            axis.set(xlabel="Sample rate (kHz)", ylabel=label)
        axes[0].set_ylim(top=max(1.06, axes[0].get_ylim()[1]))
        axes[0].axhline(1, linestyle=":", color="#9aa0a8")
        axes[0].set_title("Transfer at each rate")
        axes[1].set_title("Does the prediction depend on the rate?")
        axes[0].legend(loc="lower left")
