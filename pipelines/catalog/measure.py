"""What one pass over a recording measures, block by block, in bounded memory.

The activity track is the power of windows of about 50 ms, about the recording's own DC, as one byte per window:
code 0 is silence, code c is (c - 200) / 2 dB, so -99.5 dB to +27.5 dB in steps of 0.5 dB.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

import numpy as np

from pipelines.catalog.landmarks import LandmarkMeter
from stylefx.audio import LoudnessMeter, has_loudness
from stylefx.effects.kernels.jit import kernel

WINDOW_S = 0.05


CLIPPED_AT = 0.999  # of full scale


SILENT_BELOW_DB = -60.0  # mean power of a window


DEAD_BELOW = 1e-6  # of the loudest channel's power


BANDWIDTH_FLOOR_DB = -75.0  # under the strongest part of the mean spectrum


_FFT = 4096


_CODE_ZERO_DB, _STEPS_PER_DB = -100.0, 2.0


def encode_power(power: np.ndarray) -> np.ndarray:
    """Mean power of windows -> activity codes, uint8."""
    with np.errstate(divide="ignore"):
        level_db = 10.0 * np.log10(np.maximum(power, 0.0))
    codes = np.where(np.isfinite(level_db), np.round((level_db - _CODE_ZERO_DB) * _STEPS_PER_DB), 0.0)
    return np.clip(codes, 0, 255).astype(np.uint8)


#: power of every activity code, float64 (256,)
CODE_POWER = np.concatenate([[0.0], 10.0 ** ((np.arange(1, 256) / _STEPS_PER_DB + _CODE_ZERO_DB) / 10.0)])


@dataclass(frozen=True)
class Measures:
    """What is known of a recording once it was decoded. NaN: not defined for it (loudness under 0.4 s, correlation of mono)."""

    sample_rate: int
    channels: int
    frames: int
    content: bytes
    lufs: float
    peak_dbfs: float
    dc: float
    clipping_share: float
    silence_share: float
    correlation: float
    bandwidth_hz: float
    active_mask: int
    window_frames: int
    activity: np.ndarray
    fingerprint: bytes = b""


class RecordingMeter:
    """``add`` blocks, float32 (channels, n) of any length, then ``measures``; a fingerprint where one is wanted."""

    def __init__(self, sample_rate: int, channels: int, fingerprint: bool = False):
        self._landmarks = LandmarkMeter(sample_rate) if fingerprint else None
        self.sample_rate, self.channels, self.frames = sample_rate, channels, 0
        self.window_frames = max(1, round(WINDOW_S * sample_rate))
        self._loudness = LoudnessMeter(sample_rate, channels) if channels <= 5 else None
        self._content = hashlib.blake2b(f"{sample_rate} {channels} ".encode(), digest_size=16)
        self._sums: list[np.ndarray] = []  # of complete windows, (channels, windows, 2): sum, sum of squares
        self._open = np.zeros((channels, 2))
        self._peak, self._clipped = 0.0, 0
        self._cross = np.zeros((channels, channels))
        self._spectrum, self._spectra = np.zeros(_FFT // 2 + 1), 0
        self._hann = np.hanning(_FFT)

    def add(self, block: np.ndarray) -> None:
        n = block.shape[1]
        self._content.update(np.ascontiguousarray(block.T).astype("<f4", copy=False).tobytes())
        filled = self.frames % self.window_frames
        sums = np.zeros((self.channels, (filled + n) // self.window_frames + 1, 2))
        sums[:, 0] = self._open
        for c in range(self.channels):
            peak, clipped = _window_sums(np.ascontiguousarray(block[c]), filled, self.window_frames, sums[c])
            self._peak, self._clipped = max(self._peak, peak), self._clipped + clipped
        self._sums.append(sums[:, :-1])
        self._open = sums[:, -1].copy()
        if self.channels > 1:
            wide = block.astype(np.float64)
            self._cross += wide @ wide.T
        if self._loudness is not None:
            self._loudness.add(block)
        self._add_spectrum(block)
        if self._landmarks is not None:
            self._landmarks.add(block)
        self.frames += n

    def _add_spectrum(self, block: np.ndarray) -> None:
        """Two stretches of every block are enough for a mean spectrum; a shorter recording is padded."""
        n = block.shape[1]
        if n < _FFT and self._spectra:
            return
        for start in {0, max(0, (n - _FFT) // 2)}:
            piece = block[:, start : start + _FFT].astype(np.float64)
            piece = piece - piece.mean(axis=1, keepdims=True)
            window = self._hann if n >= _FFT else np.hanning(n + 2)[1:-1]
            self._spectrum += (np.abs(np.fft.rfft(piece * window, _FFT)) ** 2).sum(axis=0)
            self._spectra += 1

    def measures(self) -> Measures:
        powers, means = self._window_powers()
        active = powers.mean(axis=1) if powers.shape[1] else np.zeros(self.channels)
        alive = active > DEAD_BELOW * active.max(initial=0.0)
        track = powers[alive].mean(axis=0) if alive.any() else powers.mean(axis=0)
        with np.errstate(divide="ignore"):
            silent = 10.0 * np.log10(np.maximum(track, 0.0)) < SILENT_BELOW_DB
        return Measures(
            sample_rate=self.sample_rate,
            channels=self.channels,
            frames=self.frames,
            content=self._content.digest(),
            lufs=self._lufs(),
            peak_dbfs=20.0 * math.log10(self._peak) if self._peak else -math.inf,
            dc=float(np.abs(means).max(initial=0.0)),
            clipping_share=self._clipped / max(1, self.frames * self.channels),
            silence_share=float(silent.mean()) if silent.size else 1.0,
            correlation=self._correlation(means),
            bandwidth_hz=self._bandwidth_hz(),
            active_mask=sum(1 << c for c in range(min(self.channels, 62)) if alive[c]),
            window_frames=self.window_frames,
            activity=encode_power(track),
            fingerprint=self._landmarks.peaks().tobytes() if self._landmarks is not None else b"",
        )

    def _window_powers(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean power about the recording's DC, (channels, windows), and that DC, (channels,)."""
        rest = self.frames % self.window_frames
        sums = (
            np.concatenate([*self._sums, self._open[:, None]] if rest else self._sums, axis=1)
            if self._sums
            else self._open[:, :0]
        )
        counts = np.full(sums.shape[1], float(self.window_frames))
        if rest:
            counts[-1] = rest
        means = sums[..., 0].sum(axis=1) / max(1, self.frames)
        powers = (sums[..., 1] - 2.0 * means[:, None] * sums[..., 0]) / counts + means[:, None] ** 2
        powers[powers < 1e-12 * (means[:, None] ** 2 + 1e-8)] = 0.0  # what rounding leaves of a constant
        return powers, means

    def _lufs(self) -> float:
        if self._loudness is None or not has_loudness(self.frames, self.sample_rate):
            return math.nan
        return self._loudness.integrated_lufs()

    def _correlation(self, means: np.ndarray) -> float:
        """The least correlation of two channels; NaN for mono and where a channel is constant."""
        if self.channels < 2 or not self.frames:
            return math.nan
        covariance = self._cross / self.frames - np.outer(means, means)
        scale = np.sqrt(np.maximum(np.diag(covariance), 0.0))
        if (scale < 1e-9).any():
            return math.nan
        return float(np.clip((covariance / np.outer(scale, scale)).min(), -1.0, 1.0))

    def _bandwidth_hz(self) -> float:
        """Where the mean spectrum falls for good under BANDWIDTH_FLOOR_DB below its strongest part."""
        peak = self._spectrum.max(initial=0.0)
        if peak <= 0.0:
            return 0.0
        above = np.flatnonzero(self._spectrum > peak * 10.0 ** (BANDWIDTH_FLOOR_DB / 10.0))
        return float(above[-1] * self.sample_rate / _FFT)


@kernel
def _window_sums(samples, filled, window, sums):
    """Add one channel to its windows' sums and sums of squares; returns (peak, samples at or over CLIPPED_AT)."""
    peak, clipped, w = 0.0, 0, 0
    total, squares = 0.0, 0.0
    for n in range(len(samples)):
        x = np.float64(samples[n])
        size = abs(x)
        peak = max(peak, size)
        if size >= CLIPPED_AT:
            clipped += 1
        total += x
        squares += x * x
        filled += 1
        if filled == window:
            sums[w, 0] += total
            sums[w, 1] += squares
            total, squares, filled = 0.0, 0.0, 0
            w += 1
    sums[w, 0] += total
    sums[w, 1] += squares
    return peak, clipped
