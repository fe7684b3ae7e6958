"""WAV headers of our own: byte-reproducible (libsndfile stamps float files with the time) and RF64 beyond 4 GiB.

Layout: RIFF, a JUNK chunk that turns into ds64 when the file outgrows 32-bit sizes (EBU Tech 3306), fmt, fact for
floats, data. The header has the same length in both forms, so it can be written last.
"""

from __future__ import annotations

import struct

import numpy as np

_FLOAT, _PCM = 3, 1
_MAX_32 = 0xFFFFFFFF


def wav_header(subtype: str, channels: int, sample_rate: int, frames: int) -> bytes:
    """Header of a file with this many frames; subtype is pcm16, pcm24 or float32."""
    width = {"pcm16": 2, "pcm24": 3, "float32": 4}[subtype]
    tag = _FLOAT if subtype == "float32" else _PCM
    data_bytes = frames * channels * width
    fmt = struct.pack(
        "<4sIHHIIHH", b"fmt ", 16, tag, channels, sample_rate, sample_rate * channels * width, channels * width, 8 * width
    )
    fact = struct.pack("<4sII", b"fact", 4, min(frames, _MAX_32)) if tag == _FLOAT else b""
    riff_bytes = 4 + 36 + len(fmt) + len(fact) + 8 + data_bytes + data_bytes % 2
    if riff_bytes > _MAX_32:
        ds64 = struct.pack("<4sIQQQI", b"ds64", 28, riff_bytes, data_bytes, frames, 0)
        return struct.pack("<4sI4s", b"RF64", _MAX_32, b"WAVE") + ds64 + fmt + fact + struct.pack("<4sI", b"data", _MAX_32)
    junk = struct.pack("<4sI28x", b"JUNK", 28)
    return struct.pack("<4sI4s", b"RIFF", riff_bytes, b"WAVE") + junk + fmt + fact + struct.pack("<4sI", b"data", data_bytes)


def decode_wav(data: bytes, start: int = 0, frames: int = -1) -> tuple[np.ndarray, int] | None:
    """float32 (channels, frames) from sample ``start`` on, and the rate in Hz; to the bit what libsndfile gives.

    The fast path of reading shards: no library call, one pass over the samples. ``frames`` -1 reads to the end, fewer come where
    it is reached. None where this reader has no answer: other than PCM of 16 and 24 bits or 32 bit floats below 4 GiB, damage, a
    start behind the end.
    """
    found = _layout(data)
    if found is None:
        return None
    kind, channels, rate, at, size = found
    width = kind[1] // 8
    total = size // (width * channels)
    if not 0 <= start <= total:
        return None
    wanted = total - start if frames < 0 else min(frames, total - start)
    raw = np.frombuffer(data, np.uint8, wanted * channels * width, at + start * channels * width)
    if kind == (_PCM, 24):
        words = np.zeros((wanted * channels, 4), np.uint8)
        for byte in range(3):
            words[:, byte + 1] = raw[byte::3]
        samples, scale = words.view("<i4")[:, 0], 2.0**-31
    else:
        samples, scale = raw.view("<i2" if kind == (_PCM, 16) else "<f4"), 2.0**-15
    samples = samples.reshape(-1, channels).T
    if kind[0] == _PCM:
        return np.multiply(samples, np.float32(scale), dtype=np.float32, order="C"), rate
    if not np.isfinite(samples).all():
        return None
    return np.array(samples, np.float32, order="C"), rate


def _layout(data: bytes) -> tuple[tuple[int, int], int, int, int, int] | None:
    """((format tag, bits), channels, rate, where the samples begin, their bytes) of a whole file of a kind that is read here."""
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        return None
    at, fmt = 12, None
    while at + 8 <= len(data):
        kind, size = struct.unpack_from("<4sI", data, at)
        at += 8
        if at + size > len(data):  # cut, or a size that says nothing
            return None
        if kind == b"fmt " and size >= 16:
            fmt = struct.unpack_from("<HHIIHH", data, at)
        if kind == b"data":
            break
        at += size + size % 2
    else:
        return None
    if fmt is None or (fmt[0], fmt[5]) not in ((_PCM, 16), (_PCM, 24), (_FLOAT, 32)):
        return None
    if size == 0 or fmt[2] == 0 or fmt[1] == 0 or fmt[4] != fmt[1] * fmt[5] // 8:
        return None
    return (fmt[0], fmt[5]), fmt[1], fmt[2], at, size


def wav_samples(quantised: np.ndarray, subtype: str) -> bytes:
    """Samples in file order: int16 or int32 (24 bits in the high bytes) or float32, (samples, channels) -> bytes."""
    if subtype == "pcm24":
        words = np.ascontiguousarray(quantised.astype("<i4", copy=False)).view(np.uint8).reshape(-1, 4)
        packed = np.empty((len(words), 3), np.uint8)
        for byte in range(3):  # three strided copies: a third of the time of one copy of three-byte runs
            packed[:, byte] = words[:, byte + 1]
        return packed.tobytes()
    return np.ascontiguousarray(quantised.astype({"pcm16": "<i2", "float32": "<f4"}[subtype], copy=False)).tobytes()
