"""Compressors of other programs, fitted to ours.

They smooth the level, linear in amplitude, before their gain curve; ours smooths the gain reduction, in dB, after it. With
equal numbers they differ by -17 to -24 dB. So threshold, ratio, attack, release and a gain after it are fitted: the RMS
of the difference on a test signal is minimised (Nelder and Mead) over a model of their detector,

    e[n] = e[n-1] + c (|x[n]| - e[n-1]),  c = 1 - exp(-1 / (fs t)),  t the attack where it rises, else the release.

The page of a transfer does the same in the browser (scripts/export/fit.js): test signal and search are such that both find the
same numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from scipy.optimize import minimize

from stylefx.effects.kernels.dynamics import soft_knee
from stylefx.effects.kernels.jit import kernel
from stylefx.effects.palette.compressor import Compressor
from stylefx.foreign.stages import LN9, CompressorStage

_SECONDS = 2.0
_ABOVE_THRESHOLD_DB = 24.0  # peaks of the test signal, as far as full scale allows
_MAX_RATIO = 20.0
_EVALUATIONS = 220


@dataclass(frozen=True)
class Fit:
    """A stage whose numbers, converted as before, make the other program sound most like ours, and ``gain_db`` after it.
    ``before_db`` and ``after_db``: difference to ours on the test signal, with equal and with fitted numbers."""

    stage: CompressorStage
    gain_db: float
    before_db: float
    after_db: float


@lru_cache(maxsize=32)
def fitted(stage: CompressorStage, sample_rate: float, soft: bool = True) -> Fit:
    """The fit of one compressor; ``soft`` False for one that knows hard knees only, and gets two (``corners``)."""
    audio = probe(sample_rate, min(-1.0, stage.threshold_db + _ABOVE_THRESHOLD_DB))
    settings = {n: getattr(stage, n) for n in ("threshold_db", "ratio", "attack_ms", "release_ms", "knee_db")}
    ours = Compressor().render(audio[None].astype(np.float32), settings, sample_rate)[0].astype(np.float64)
    start = np.array([0.0, math.log(1.0 - 1.0 / stage.ratio), math.log(stage.attack_ms), math.log(stage.release_ms), 0.0])

    def read(x: np.ndarray) -> tuple[CompressorStage, float]:
        slope = min(math.exp(x[1]), 1.0 - 1.0 / _MAX_RATIO)
        times = {"attack_ms": math.exp(min(x[2], 9.0)), "release_ms": math.exp(min(x[3], 9.0))}
        moved = replace(stage, threshold_db=stage.threshold_db + float(x[0]), ratio=1.0 / (1.0 - slope), **times)
        return moved, float(x[4])

    def error(x: np.ndarray) -> float:
        return difference_db(model(audio, *read(x), sample_rate, soft), ours)

    before = difference_db(model(audio, stage, 0.0, sample_rate, soft), ours)
    steps = np.vstack([np.zeros(5), np.diag([4.0, 0.2, -1.0, 0.7, 0.5])])
    best = minimize(error, start, method="Nelder-Mead", options={"maxfev": _EVALUATIONS, "initial_simplex": start + steps})
    found, gain_db = read(best.x)
    return Fit(found, gain_db, before, float(best.fun)) if best.fun < before else Fit(stage, 0.0, before, before)


def corners(stage: CompressorStage) -> list[tuple[float, float]]:
    """Thresholds (dB) and ratios of hard-kneed compressors that, hearing the same level, together resemble the soft knee."""
    if stage.knee_db == 0.0:
        return [(stage.threshold_db, stage.ratio)]
    half = 1.0 / (1.0 - 0.5 * (1.0 - 1.0 / stage.ratio))
    return [(stage.threshold_db + side * stage.knee_db / 4, half) for side in (-1, 1)]


def probe(sample_rate: float, peak_db: float) -> np.ndarray:
    """The test signal, float64 (samples,): a harmonic tone and noise under syllables of many lengths and levels."""
    n = round(_SECONDS * sample_rate)
    t = np.arange(n) / sample_rate
    noise = _noise(n)
    tone = sum(np.sin(2 * np.pi * k * 130.0 * t + k * k) / k for k in range(1, 16) if k * 130.0 < 0.45 * sample_rate)
    envelope = np.clip(np.sin(2 * np.pi * 3.1 * t) + 0.6 * np.sin(2 * np.pi * 0.7 * t) + 0.2, 0.0, None) ** 1.5
    audio = envelope * (tone + 0.3 * noise)
    return 10 ** (peak_db / 20) * audio / np.abs(audio).max()


def _noise(n: int) -> np.ndarray:
    """-1..1, float64 (n,): a permutation of 32-bit counters (M. E. O'Neill's RXS-M-XS), the same in every language."""
    mask = np.uint64(0xFFFFFFFF)
    state = (np.arange(n, dtype=np.uint64) * np.uint64(747796405) + np.uint64(2891336453)) & mask
    word = ((state >> ((state >> np.uint64(28)) + np.uint64(4))) ^ state) * np.uint64(277803737) & mask
    return ((word >> np.uint64(22)) ^ word) / 2.0**31 - 1.0


def model(audio: np.ndarray, stage: CompressorStage, gain_db: float, sample_rate: float, soft: bool = True) -> np.ndarray:
    """What a level-smoothing compressor makes of a mono signal, float64 (samples,)."""
    envelope = np.empty_like(audio)
    steps = [-math.expm1(-1e3 * LN9 / (sample_rate * ms)) for ms in (stage.attack_ms, stage.release_ms)]
    _follow(np.abs(audio), envelope, *steps)
    levels_db = 20 * np.log10(np.maximum(envelope, 1e-6))
    if soft:
        reduction = (1.0 - 1.0 / stage.ratio) * soft_knee(levels_db - stage.threshold_db, stage.knee_db)
    else:
        parts = corners(stage)
        reduction = sum((1.0 - 1.0 / ratio) * np.maximum(levels_db - threshold_db, 0.0) for threshold_db, ratio in parts)
    return audio * 10 ** ((gain_db - reduction) / 20)


@kernel
def _follow(level: np.ndarray, out: np.ndarray, attack: float, release: float) -> None:
    e = 0.0
    for i in range(level.shape[0]):
        d = level[i] - e
        e += (attack if d > 0.0 else release) * d
        out[i] = e


def difference_db(found: np.ndarray, wanted: np.ndarray) -> float:
    """RMS of the difference relative to what is wanted, dB."""
    return float(10 * np.log10(np.mean((found - wanted) ** 2) / np.mean(wanted**2) + 1e-30))
