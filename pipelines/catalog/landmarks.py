"""An acoustic fingerprint: the peaks of a spectrogram, which survive codecs, rates, levels, shifts and cuts.

After A. Wang, "An industrial-strength audio search algorithm" (ISMIR 2003): pairs of peaks are hashed, two recordings that hold
the same audio share many hashes at one time offset. A recording keeps its peaks only, four bytes each, about twelve a second;
the pairs are made again when recordings are compared.
"""

from __future__ import annotations

import numpy as np
import scipy.fft
import soxr

from stylefx.audio.spectra import hann

RATE = 8000
_FFT, _HOP = 1024, 256
HOPS_PER_S = RATE / _HOP
_LOW, _HIGH = 20, 440  # bins: 156 to 3438 Hz, what telephones and low bit rates keep
_AROUND_BINS, _AROUND_HOPS = 14, 7  # a peak is the largest within so many to each side
_DEPTH_DB = 50.0  # under the loudest of the last seconds nothing is a peak
_STRIPE = 1024  # hops that are looked at together


def places_of(peaks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(hop, bin) of peaks as ``LandmarkMeter`` gives them, int32 (n,) each."""
    return (peaks >> 9).astype(np.int32), (peaks & 511).astype(np.int32)


def largest_around(levels: np.ndarray, reach: int) -> np.ndarray:
    """The largest of each row and of up to ``reach`` rows to each side, float32 (rows, n) -> the same shape."""
    ends = np.full((reach, levels.shape[1]), -np.inf, levels.dtype)
    found, covered, width = np.concatenate([ends, levels, ends]), 1, 2 * reach + 1
    while covered < width:  # the largest of so many rows from each on, then of up to twice as many
        step = min(covered, width - covered)
        found = np.maximum(found[: len(found) - step], found[step:])
        covered += step
    return found


class LandmarkMeter:
    """``add`` blocks, float32 (channels, n), then ``peaks``."""

    def __init__(self, sample_rate: int):
        self._stream = soxr.ResampleStream(sample_rate, RATE, 1, dtype="float32", quality="LQ") if sample_rate != RATE else None
        self._window = hann(_FFT).astype(np.float32)
        self._rest = np.zeros(0, np.float32)
        self._levels = np.zeros((0, _HIGH - _LOW), np.float32)
        self._first = 0  # hop of the first row of _levels
        self._found: list[np.ndarray] = []
        self._loudest = -np.inf

    def add(self, block: np.ndarray) -> None:
        mono = block[0] if block.shape[0] == 1 else block.mean(axis=0, dtype=np.float32)
        mono = np.ascontiguousarray(mono, np.float32)
        self._take(mono if self._stream is None else self._stream.resample_chunk(mono))

    def _take(self, audio: np.ndarray) -> None:
        self._rest = np.concatenate([self._rest, audio])
        hops = (len(self._rest) - _FFT) // _HOP + 1
        if hops < 64:
            return
        self._analyse(hops)

    def _analyse(self, hops: int) -> None:
        frames = np.lib.stride_tricks.sliding_window_view(self._rest, _FFT)[: hops * _HOP : _HOP]
        spectrum = scipy.fft.rfft(frames * self._window, axis=1)[:, _LOW:_HIGH]
        power = spectrum.real**2 + spectrum.imag**2
        self._levels = np.concatenate([self._levels, 10.0 * np.log10(power + np.float32(1e-12))])
        self._rest = self._rest[hops * _HOP :]
        if len(self._levels) >= _STRIPE:
            self._pick(last=False)

    def _pick(self, last: bool) -> None:
        """Peaks of all rows but the newest, around which not everything is known yet."""
        levels = self._levels
        if not len(levels):
            return
        highest = largest_around(largest_around(levels.T, _AROUND_BINS).T, _AROUND_HOPS)
        begin = _AROUND_HOPS if self._first else 0
        end = len(levels) if last else len(levels) - _AROUND_HOPS
        self._loudest = max(self._loudest, float(levels.max()))
        is_peak = (levels == highest) & (levels > max(self._loudest - _DEPTH_DB, -90.0))
        hop, frequency = np.nonzero(is_peak[begin:end])
        self._found.append(((hop + begin + self._first) << 9 | frequency).astype(np.uint32))
        keep = max(0, end - _AROUND_HOPS)
        self._first, self._levels = self._first + keep, levels[keep:]

    def peaks(self) -> np.ndarray:
        """hop << 9 | bin of each peak in order, uint32 (n,)."""
        if self._stream is not None:
            self._take(self._stream.resample_chunk(np.zeros(0, np.float32), last=True))
        self._rest = np.concatenate([self._rest, np.zeros(_FFT, np.float32)])
        hops = (len(self._rest) - _FFT) // _HOP + 1
        if hops > 0:
            self._analyse(hops)
        self._pick(last=True)
        return np.concatenate(self._found) if self._found else np.zeros(0, np.uint32)
