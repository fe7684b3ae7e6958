"""RB-DSP, the rule-based baseline: match the average spectrum with a filter, then compress until the loudness matches.

Steinmetz, Bryan, Reiss, JAES 70(9), 2022, section "baselines": linear-phase FIR towards the smoothed average spectrum of the
reference, then the threshold of a compressor (ratio 3, attack 1 ms, release 50 ms) falls until the loudness is within
0.5 LU of the reference's. Compression at an unchanged peak is what raises loudness, so each try is brought to the reference's
peak level.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import scipy.signal

from stylefx.audio.spectra import average_power, smooth_octaves
from stylefx.effects.palette.compressor import Compressor
from stylefx.evaluation.metrics.audio import loudness, peak_level_db
from stylefx.evaluation.pairs import Pair
from stylefx.evaluation.systems.base import System, SystemOutput

SMOOTHING_OCTAVES = 1 / 3
MAX_GAIN_DB = 24.0
FILTER_S = 0.085  # length of the filter: 2049 taps at 24 kHz
TOLERANCE_LU = 0.5
LEAD_S = 0.25
COARSE_DB, FINE_DB, LOWEST_THRESHOLD_DB = 4.0, 0.5, -80.0
COMPRESSOR = {"ratio": 3.0, "attack_ms": 1.0, "release_ms": 50.0, "knee_db": 0.0, "makeup_gain_db": 0.0}


class RuleBased(System):
    """RB-DSP as a system."""

    name, title = "rule-based", "RB-DSP"

    def __init__(self, parallel_map: Callable[..., Any] = map):
        self.map = parallel_map

    def __call__(self, pairs: Sequence[Pair]) -> list[SystemOutput]:
        return list(self.map(lambda p: SystemOutput(rule_based_transfer(p.input, p.reference, p.sample_rate)), pairs))


def rule_based_transfer(audio: np.ndarray, reference: np.ndarray, sample_rate: float) -> np.ndarray:
    """Input and reference (channels, samples) of any lengths -> output float32 like the input; silence stays as it is."""
    if not (np.any(audio) and np.any(reference)):
        return np.array(audio, np.float32)
    return match_loudness(match_spectrum(audio, reference, sample_rate), reference, sample_rate)


def match_spectrum(audio: np.ndarray, reference: np.ndarray, sample_rate: float) -> np.ndarray:
    """Filter the audio so that its smoothed average spectrum becomes the reference's; at most +-24 dB. float32, same shape."""
    taps = 2 * round(FILTER_S * sample_rate / 2) + 1
    size = 1 << (taps - 2).bit_length()
    frequency, have = average_power(audio, sample_rate, size)
    _, want = average_power(reference, sample_rate, size)
    have, want = (smooth_octaves(frequency, power, SMOOTHING_OCTAVES) for power in (have, want))
    floor = 1e-9 * max(have.max(), want.max())  # where neither has energy nothing is matched
    gain_db = np.clip(10 * np.log10((want + floor) / (have + floor)), -MAX_GAIN_DB, MAX_GAIN_DB)
    fir = scipy.signal.firwin2(taps, frequency, 10 ** (gain_db / 20), nfreqs=2 * size + 1, fs=sample_rate)
    return scipy.signal.oaconvolve(audio, fir[None], mode="same", axes=1).astype(np.float32)


def match_loudness(audio: np.ndarray, reference: np.ndarray, sample_rate: float) -> np.ndarray:
    """Lower the threshold from 0 dBFS until the loudness at the reference's peak level is within 0.5 LU of the reference's.

    First in steps of 4 dB, then, from the last step that was too quiet, of 0.5 dB: at most 28 tries. Where no threshold is
    loud enough, the try that came closest is taken; an input that is loud enough is not compressed. float32, same shape.
    """
    peak_db, wanted = peak_level_db(reference), loudness(reference, sample_rate)
    start = _to_peak(audio, peak_db)
    if not math.isfinite(wanted):
        return start

    def attempt(threshold_db: float) -> tuple[float, np.ndarray]:
        """Loudness above the wanted, LU, and the audio."""
        out = start if threshold_db >= 0 else _to_peak(_compress(start, threshold_db, sample_rate), peak_db)
        return loudness(out, sample_rate) - wanted, out

    tries = [attempt(0.0)]
    thresholds = list(np.arange(-COARSE_DB, LOWEST_THRESHOLD_DB - 1e-9, -COARSE_DB))
    while tries[-1][0] < -TOLERANCE_LU and thresholds:
        threshold_db = float(thresholds.pop(0))
        tries.append(attempt(threshold_db))
        if tries[-1][0] > TOLERANCE_LU:  # stepped over it: go back and take small steps
            overshot = tries.pop()
            thresholds = list(np.arange(threshold_db + COARSE_DB - FINE_DB, threshold_db, -FINE_DB))
            tries.append(_finely(attempt, thresholds, overshot))
            break
    return min(tries, key=lambda one: abs(one[0]))[1]


def _finely(
    attempt: Callable[..., Any], thresholds: Sequence[float], overshot: tuple[float, np.ndarray]
) -> tuple[float, np.ndarray]:
    """The first try that is loud enough; ``overshot`` when none of these is."""
    for threshold_db in thresholds:
        one = attempt(float(threshold_db))
        if one[0] >= -TOLERANCE_LU:
            return one
    return overshot


def _compress(audio: np.ndarray, threshold_db: float, sample_rate: float) -> np.ndarray:
    """The compressor, run in beforehand on the mirrored beginning: from rest, its first millisecond would pass unreduced and
    be the peak that decides the level of all the rest."""
    lead = min(audio.shape[1], round(LEAD_S * sample_rate))
    extended = np.concatenate([audio[:, :lead][:, ::-1], audio], axis=1)
    return Compressor().render(extended, {**COMPRESSOR, "threshold_db": threshold_db}, sample_rate)[:, lead:]


def _to_peak(audio: np.ndarray, peak_dbfs: float) -> np.ndarray:
    level = peak_level_db(audio)
    return audio if not math.isfinite(level) else (audio * 10 ** ((peak_dbfs - level) / 20)).astype(np.float32)
