"""FLAC bytes to samples: the usual files by our own loops, everything else is left to libsndfile."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np

from stylefx.audio.flac.checksums import CRC8, CRC16
from stylefx.audio.flac.decode_kernels import PADDING, decode_frames

_MAGIC = b"fLaC"
_STREAMINFO, _SEEKTABLE, _POINT = 0, 3, 18
_BLOCK = 65536
_SMALLEST_FRAME = 10  # bytes: header, a constant, checksums
_mine = threading.local()


@dataclass(frozen=True)
class FlacInfo:
    """What stands before the frames. ``points``: (sample, byte from the first frame) of the frames that can be gone to."""

    sample_rate: int
    channels: int
    bits: int
    frames: int
    first_byte: int
    points: np.ndarray


def flac_info(data: bytes) -> FlacInfo | None:
    """None where the data are not FLAC of 16 or 24 bits, of one or two channels and a known length, from the first byte on."""
    stream = stream_info(data)
    if stream is None:
        return None
    place, last, points = 4, False, np.zeros((0, 2), np.int64)
    while not last:
        if place + 4 > len(data):
            return None
        kind, size = data[place] & 0x7F, int.from_bytes(data[place + 1 : place + 4], "big")
        last = bool(data[place] & 0x80)
        if kind == _SEEKTABLE:
            points = _seek_points(data[place + 4 : place + 4 + size])
        place += 4 + size
    return FlacInfo(*stream, place, points) if place < len(data) else None


def stream_info(data: bytes) -> tuple[int, int, int, int] | None:
    """Rate in Hz, channels, bits and frames of what begins with these bytes, 42 or more; None as in ``flac_info``."""
    if data[:4] != _MAGIC or len(data) < 42 or data[4] & 0x7F != _STREAMINFO:
        return None
    fields = int.from_bytes(data[18:26], "big")
    rate, channels, bits, frames = fields >> 44, (fields >> 41 & 7) + 1, (fields >> 36 & 31) + 1, fields & (1 << 36) - 1
    return None if bits not in (16, 24) or channels > 2 or frames == 0 or rate == 0 else (rate, channels, bits, frames)


def _seek_points(table: bytes) -> np.ndarray:
    rows = np.frombuffer(table[: len(table) // _POINT * _POINT], np.uint8).reshape(-1, _POINT)
    numbers = np.ascontiguousarray(rows[:, :16]).view(">u8")
    return numbers[numbers[:, 0] != 2**64 - 1].astype(np.int64)


def decode_flac(data: bytes, start: int = 0, frames: int = -1) -> tuple[np.ndarray, int] | None:
    """float32 (channels, frames) from sample ``start`` on, and the rate in Hz; to the bit what libsndfile gives.

    ``frames`` -1 reads to the end, fewer come where it is reached. None where this reader has no answer: another kind of
    FLAC, damage (checksums are tested), a start behind the end.
    """
    info = flac_info(data)
    if info is None or not 0 <= start <= info.frames:
        return None
    if info.frames > _BLOCK * (len(data) // _SMALLEST_FRAME + 1):  # a damaged header promises more than memory holds
        return None
    wanted = info.frames - start if frames < 0 else min(frames, info.frames - start)
    out = np.empty((info.channels, wanted), np.float32)
    if wanted == 0:
        return out, info.sample_rate
    before = np.searchsorted(info.points[:, 0], start, side="right") - 1
    sample, byte = info.points[before] if start and before >= 0 else (0, 0)
    if not 0 <= byte < len(data) - info.first_byte:
        return None
    first = info.first_byte + int(byte)
    padded = np.zeros(len(data) - first + PADDING, np.uint8)
    padded[: len(data) - first] = np.frombuffer(data, np.uint8, offset=first)
    return (out, info.sample_rate) if decode_into(out, padded, start - int(sample), info.bits) is not None else None


def decode_into(out: np.ndarray, padded: np.ndarray, skip: int, bits: int) -> tuple[int, int] | None:
    """Fill float32 ``out`` (channels, frames) from the frames that bytes begin with, the first ``skip`` samples left out.

    ``padded``: uint8, PADDING zeros at its end. Returns (byte where the frame begins in which reading goes on, samples before
    it); None where this reader has no answer.
    """
    reached, size = np.zeros(2, np.int64), len(padded) - PADDING
    done = decode_frames(padded, 0, size, skip, bits, CRC8, CRC16, _work(len(out)), out, reached)
    return (int(reached[0]), int(reached[1])) if done == out.shape[1] else None


def _work(channels: int) -> np.ndarray:
    """A block of each channel, kept for each thread: fresh pages cost more than decoding."""
    if not hasattr(_mine, "work"):
        _mine.work = np.empty((2, _BLOCK), np.int64)
    work: np.ndarray = _mine.work[:channels]
    return work
