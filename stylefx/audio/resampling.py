"""Sample rate conversion by soxr HQ, with exact lengths; whole signals and streams give the same samples."""

from __future__ import annotations

import math

import numpy as np
import soxr

from stylefx.audio.quantise import as_samples
from stylefx.errors import UserError

_BLOCK_FRAMES = 8192  # what soxr holds between its stages then stays in the cache: the same samples in two thirds of the time


def resampled_frames(num_frames: int, from_rate: float, to_rate: float) -> int:
    """round(num_frames x to_rate / from_rate), halves upwards; in whole numbers where the rates are whole."""
    if float(from_rate).is_integer() and float(to_rate).is_integer():
        return (2 * num_frames * int(to_rate) + int(from_rate)) // (2 * int(from_rate))
    return int(np.floor(num_frames * (to_rate / from_rate) + 0.5))


def resample(audio: np.ndarray, from_rate: float, to_rate: float, out_frames: int | None = None) -> np.ndarray:
    """float32 (channels, samples) -> float32 (channels, out_frames), by default round(samples x to_rate / from_rate).

    Aligned with the input (no delay). With out_frames given, the result is cut or continued with what the filter rings out.
    """
    audio = as_samples(audio)
    _check_rates(from_rate, to_rate)
    if out_frames is None:
        out_frames = resampled_frames(audio.shape[1], from_rate, to_rate)
    if from_rate == to_rate:
        return _fit_length(audio.copy(), out_frames)
    missing = math.ceil(out_frames * from_rate / to_rate) - audio.shape[1]
    tail = max(0, missing) + _flush_frames(from_rate, to_rate)
    padded = np.zeros((audio.shape[1] + tail, audio.shape[0]), np.float32)
    padded[: audio.shape[1]] = audio.T
    stream = soxr.ResampleStream(from_rate, to_rate, audio.shape[0], dtype="float32", quality="HQ")
    starts = range(0, len(padded), _BLOCK_FRAMES)
    out = [stream.resample_chunk(padded[i : i + _BLOCK_FRAMES], last=i == starts[-1]) for i in starts]
    return _fit_length(np.concatenate(out).T, out_frames)


class Resampler:
    """A stream: blocks of any length in, what is ready out; the concatenation equals ``resample`` of the whole."""

    def __init__(self, from_rate: float, to_rate: float, channels: int):
        _check_rates(from_rate, to_rate)
        self.from_rate, self.to_rate, self.channels = from_rate, to_rate, channels
        self._stream = None
        if from_rate != to_rate:
            self._stream = soxr.ResampleStream(from_rate, to_rate, channels, dtype="float32", quality="HQ")
        self._in = self._out = 0

    def __call__(self, block: np.ndarray) -> np.ndarray:
        """Next block (channels, n) -> (channels, m), m >= 0."""
        block = as_samples(block)
        self._in += block.shape[1]
        out = block.copy() if self._stream is None else self._stream.resample_chunk(np.ascontiguousarray(block.T)).T
        return self._count(np.ascontiguousarray(out))

    def finish(self) -> np.ndarray:
        """What is left, so that the total is round(frames in x to_rate / from_rate)."""
        left = resampled_frames(self._in, self.from_rate, self.to_rate) - self._out
        if self._stream is None:
            return np.zeros((self.channels, 0), np.float32)
        silence = np.zeros((_flush_frames(self.from_rate, self.to_rate), self.channels), np.float32)
        tail = self._stream.resample_chunk(silence, last=True).T
        return self._count(_fit_length(tail, left))

    def _count(self, out: np.ndarray) -> np.ndarray:
        left = resampled_frames(self._in, self.from_rate, self.to_rate) - self._out
        out = out[:, : max(0, left)]
        self._out += out.shape[1]
        return out


def _check_rates(from_rate: float, to_rate: float) -> None:
    if not (from_rate > 0 and to_rate > 0 and np.isfinite(from_rate) and np.isfinite(to_rate)):
        raise UserError(f"audio cannot be resampled from {from_rate} Hz to {to_rate} Hz; give positive rates")


def _flush_frames(from_rate: float, to_rate: float) -> int:
    """Silence after the end, so that the rounded length is there: soxr alone may stop one frame short."""
    return math.ceil(from_rate / to_rate) + 1


def _fit_length(audio: np.ndarray, frames: int) -> np.ndarray:
    audio = audio[:, :frames]
    if audio.shape[1] < frames:
        audio = np.pad(audio, ((0, 0), (0, frames - audio.shape[1])))
    return np.ascontiguousarray(audio)
