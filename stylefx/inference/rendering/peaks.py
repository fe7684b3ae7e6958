"""The last stage of a rendering: one gain, or the look-ahead limiter of the effects, fitted to loudness and true peak.

The limiter holds sample peaks, the ceiling is meant of true peaks, and limiting takes loudness: gain into it and its ceiling
are found by a few passes over the rendered audio. Its largest reduction is the highest peak after the gain over its ceiling,
so the bound on it is a bound on the gain.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from stylefx.effects.base import Process
from stylefx.effects.palette.limiter import Limiter
from stylefx.inference.rendering.loudness import Loudness
from stylefx.inference.rendering.meter import Meter, MeterReading

FULL_SCALE_DBFS = -2e-3  # so that rounding to integers cannot reach it
TOLERANCE_DB = 1e-3  # what is over by less is not touched: rendering with recorded gains must not add another
RELEASE_MS = 80.0
_PASSES = 6
_CLOSE_LU = 0.05
_WIDEST_DB = 24.0
_MARGIN_DB = 0.02  # below the true peak aimed at, so that the next pass is the last


@dataclass(frozen=True)
class Finish:
    """``gain_db`` after the chain and after the limiter, whose settings are None where it is not needed; ``reading`` is measured
    after both. ``guard_db`` is the part of the gain that the peaks took, ``reduction_db`` the most that the limiter takes,
    ``held`` says what kept the loudness where it is."""

    gain_db: float
    limiter: dict[str, float] | None
    reading: MeterReading
    guard_db: float = 0.0
    reduction_db: float = 0.0
    held: str = ""


def limited(blocks: Iterable[np.ndarray], settings: dict[str, float], sample_rate: float, channels: int) -> Iterator[np.ndarray]:
    """Blocks through the limiter, aligned: as many frames as came in."""
    return aligned(Limiter().start(settings, sample_rate, channels), blocks, channels)


def aligned(process: Process, blocks: Iterable[np.ndarray], channels: int) -> Iterator[np.ndarray]:
    """Blocks through a process, its look-ahead taken out."""
    early = process.latency
    for block in blocks:
        out = process(block)
        if early:
            early, out = early - min(early, out.shape[1]), out[:, early:]
        yield out
    if process.latency:
        yield process(np.zeros((channels, process.latency), np.float32))[:, early:]


def excess_db(reading: MeterReading, wanted: Loudness, fixed_point: bool) -> float:
    """How far the peaks are above what they may be; negative: room."""
    over = reading.true_peak_dbtp - wanted.ceiling_db
    return max(over, reading.peak_dbfs - FULL_SCALE_DBFS) if fixed_point else over


def fit(
    blocks: Iterable[np.ndarray],
    measured: MeterReading,
    gain_db: float,
    input_lufs: float,
    wanted: Loudness,
    fixed_point: bool,
    sample_rate: float,
    channels: int,
) -> Finish:
    """The last stage for ``blocks`` (as often iterable as needed), whose reading is ``measured``; ``gain_db`` is what there was
    already."""
    if wanted.target_lufs is not None and math.isfinite(measured.lufs):
        gain_db = wanted.target_lufs - measured.lufs
    raised = measured.raised(gain_db)
    over = excess_db(raised, wanted, fixed_point)
    if over <= TOLERANCE_DB:
        return Finish(gain_db, None, raised)
    if wanted.peaks != "limiter" or wanted.ceiling_dbtp is None or wanted.max_reduction_db == 0.0:
        free = wanted.ceiling_db == math.inf
        held = "peaks stay below full scale" if free else f"true peaks stay at {wanted.ceiling_db:g} dBTP"
        return Finish(gain_db - over, None, raised.raised(-over), -over, held=f"{held}, and are held by gain alone")
    return _fit_limiter(_Search(blocks, measured, wanted, fixed_point, sample_rate, channels), gain_db, input_lufs)


@dataclass
class _Search:
    blocks: Iterable[np.ndarray]
    measured: MeterReading
    wanted: Loudness
    fixed_point: bool
    sample_rate: float
    channels: int

    def reading(self, settings: dict[str, float]) -> MeterReading:
        meter = Meter(self.sample_rate, self.channels)
        for block in limited(self.blocks, settings, self.sample_rate, self.channels):
            meter(block)
        return meter.reading()


def _fit_limiter(search: _Search, gain_db: float, input_lufs: float) -> Finish:
    """Gain and ceiling by secants: both act on loudness and true peak nearly decibel by decibel."""
    wanted, peak, held = search.wanted, search.measured.peak_dbfs, ""
    ceiling = min(wanted.ceiling_db, FULL_SCALE_DBFS if search.fixed_point else math.inf)
    target, bound, floor = wanted.target_lufs, wanted.max_reduction_db, _floor(wanted, input_lufs)
    highest, slope, last = ceiling, 1.0, None
    for left in reversed(range(_PASSES)):
        most = ceiling + bound - peak
        at_bound, gain_db = gain_db > most, min(gain_db, most)
        settings = {"gain_db": gain_db, "ceiling_db": ceiling, "release_ms": RELEASE_MS}
        reading = search.reading(settings)
        over, short = reading.true_peak_dbtp - highest, _short(target, reading.lufs)
        if at_bound and reading.lufs < floor - _CLOSE_LU and bound < _WIDEST_DB:
            held = f"the limiter takes more than {bound:g} dB only to stay within 10 LU of input or reference"
            target, bound, short = floor, _WIDEST_DB, floor - reading.lufs
        elif at_bound:
            held, short = held or f"the limiter may take {bound:g} dB at most (--peak-reduction)", min(short, 0.0)
        if left == 0 or (over <= TOLERANCE_DB and abs(short) <= _CLOSE_LU):
            break
        if last is not None and abs(gain_db - last[0]) > 0.05:
            slope = min(max((reading.lufs - last[1]) / (gain_db - last[0]), 0.3), 1.0)
        last = (gain_db, reading.lufs)
        ceiling -= over + _MARGIN_DB if over > TOLERANCE_DB else 0.0
        gain_db += short / slope
    rest = -over if over > TOLERANCE_DB else 0.0
    return Finish(rest, settings, reading.raised(rest), rest, max(0.0, peak + gain_db - ceiling), held)


def _short(target: float | None, lufs: float) -> float:
    return target - lufs if target is not None and math.isfinite(lufs) else 0.0


def _floor(wanted: Loudness, input_lufs: float) -> float:
    if wanted.at_most_below_db is None or wanted.target_lufs is None:
        return -math.inf
    known = [lufs for lufs in (input_lufs, wanted.target_lufs) if math.isfinite(lufs)]
    return min(known) - wanted.at_most_below_db
