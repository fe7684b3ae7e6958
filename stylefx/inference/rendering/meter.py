"""Loudness, peak and true peak of a stream, in one pass.

True peak after ITU-R BS.1770-4, annex 2: the polyphase interpolator of its table, four phases of twelve taps (at rates
from 96 kHz on the same filter oversamples more than the standard asks). Only what can exceed the peak found so far is
interpolated: no output of the filter is larger than the sum of its absolute taps times the largest sample it sees.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from stylefx.audio.loudness import TRUE_PEAK_TAPS, LoudnessMeter
from stylefx.effects.kernels.jit import kernel
from stylefx.errors import UserError

_BLOCK = 64
_BOUND = float(np.abs(TRUE_PEAK_TAPS).sum(axis=1).max())


@dataclass(frozen=True)
class MeterReading:
    """Integrated loudness (-inf for silence, NaN below 0.4 s), sample peak and true peak in dB relative to full scale."""

    lufs: float
    peak_dbfs: float
    true_peak_dbtp: float

    def raised(self, gain_db: float) -> MeterReading:
        """The reading after a gain."""
        return replace(
            self, lufs=self.lufs + gain_db, peak_dbfs=self.peak_dbfs + gain_db, true_peak_dbtp=self.true_peak_dbtp + gain_db
        )


class Meter:
    """Call it with float32 blocks (channels, n); ``peak`` is the largest sample so far, ``reading()`` the result."""

    def __init__(self, sample_rate: float, channels: int, loudness: bool = True, true_peak: bool = True):
        self._loudness = LoudnessMeter(sample_rate, channels) if loudness else None
        self._measures_true_peak = true_peak
        self._history = np.zeros((channels, TRUE_PEAK_TAPS.shape[1] - 1), np.float32)
        self.peak, self._true_peak = 0.0, 0.0

    def __call__(self, block: np.ndarray) -> None:
        if self._loudness:
            self._loudness.add(block)
        if self._measures_true_peak and block.shape[1]:
            self._add_true_peak(block)

    def _add_true_peak(self, block: np.ndarray) -> None:
        self.peak = max(self.peak, float(block.max()), -float(block.min()))
        joined = np.concatenate([self._history, block], axis=1)
        self._true_peak = interpolated_peak(joined, TRUE_PEAK_TAPS, max(self._true_peak, self.peak), _BOUND)
        self._history = joined[:, -self._history.shape[1] :].copy()

    def peaks(self) -> MeterReading:
        """The peaks so far; loudness is not looked at."""
        return MeterReading(math.nan, _db(self.peak), _db(self._true_peak))

    def reading(self) -> MeterReading:
        if self._measures_true_peak:  # the interpolator's tail
            self._add_true_peak(np.zeros_like(self._history))
        lufs = math.nan
        if self._loudness:
            try:
                lufs = self._loudness.integrated_lufs()
            except UserError:  # shorter than a gating block: loudness is not defined
                lufs = math.nan
        return MeterReading(lufs, _db(self.peak), _db(self._true_peak))


@kernel
def interpolated_peak(audio, taps, peak, bound):
    """max(peak, largest interpolated sample of audio (channels, n)); the first 11 samples are history. The taps outside and the
    samples inside, so that the processor's vector units do the work."""
    phases, length = taps.shape
    sums = np.empty(_BLOCK)
    for c in range(audio.shape[0]):
        n = audio.shape[1]
        start = length - 1
        while start < n:
            stop = min(start + _BLOCK, n)
            largest = 0.0
            for i in range(start - length + 1, stop):
                largest = max(largest, abs(audio[c, i]))
            if largest * bound > peak:
                part = sums[: stop - start]
                for p in range(phases):
                    part[:] = 0.0
                    for k in range(length):
                        tap, source = taps[p, k], audio[c, start - k : stop - k]
                        for j in range(stop - start):
                            part[j] += tap * source[j]
                    for j in range(stop - start):
                        peak = max(peak, abs(part[j]))
            start = stop
    return peak


def _db(value: float) -> float:
    return 20 * math.log10(value) if value > 0 else -math.inf
