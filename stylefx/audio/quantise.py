"""From float to the integers of a fixed-point format, never clipping silently.

Rounding is to nearest, without dither: the same samples give the same bytes.
"""

from __future__ import annotations

import math

import numpy as np

from stylefx.effects.base import as_block, refuse_interleaved
from stylefx.effects.kernels.jit import kernel
from stylefx.errors import UserError

SUBTYPE_BITS = {"pcm16": 16, "flac16": 16, "pcm24": 24, "flac24": 24, "float32": 0}


def check_subtype(subtype: str) -> int:
    """Bits of a fixed-point subtype, 0 for float32; UserError for an unknown one."""
    if subtype not in SUBTYPE_BITS:
        raise UserError(f"sample format {subtype!r} is not known; choose one of {', '.join(SUBTYPE_BITS)}")
    return SUBTYPE_BITS[subtype]


def as_samples(audio: np.ndarray) -> np.ndarray:
    """float32 (channels, samples), finite, with at least one channel; one-dimensional audio is mono."""
    audio = np.asarray(audio)
    if audio.ndim == 1:
        audio = audio[None]
    if audio.ndim != 2 or audio.shape[0] == 0:
        raise UserError(f"audio has shape {audio.shape}; give (channels, samples)")
    refuse_interleaved(audio.shape)
    audio = np.ascontiguousarray(audio, np.float32)
    if not np.isfinite(audio).all():
        raise UserError("audio contains NaN or infinite samples, which no file format should hold; check what produced it")
    return audio


def protective_gain(low: float, high: float, bits: int) -> float:
    """The gain, at most 1, that brings samples between low and high into a fixed-point format without clipping.

    The positive limit is 1 - 2**(1 - bits), one step below full scale; what rounds to within the limits needs no gain.
    """
    if bits == 0:
        return 1.0
    steps = 2.0 ** (bits - 1)
    gain = 1.0
    if high * steps >= steps - 0.5:
        gain = (steps - 1.0) / (steps * high)
    if low * steps < -steps - 0.5:
        gain = min(gain, -1.0 / low)
    return gain


def fit(audio: np.ndarray, bits: int, over: str, name: str) -> tuple[np.ndarray, float]:
    """Scale audio down (``over="scale"``) or refuse it (``"error"``) where it would clip; returns it and the gain in dB."""
    if over not in ("scale", "error"):
        raise UserError(f"over={over!r} is not known; choose scale or error")
    if audio.size == 0 or bits == 0:
        return audio, 0.0
    low, high = float(audio.min()), float(audio.max())
    gain = protective_gain(low, high, bits)
    if gain == 1.0:
        return audio, 0.0
    if over == "error":
        raise exceeds(name, max(high, -low), bits)
    return audio * np.float32(gain), 20.0 * math.log10(np.float32(gain))


def exceeds(name: str, peak: float, bits: int) -> UserError:
    return UserError(
        f"{name}: samples reach {20 * math.log10(peak):+.2f} dBFS, beyond the full scale of {bits}-bit audio; "
        "write float32, or allow scaling"
    )


def quantise(audio: np.ndarray, bits: int) -> np.ndarray:
    """float32 (channels, samples) within the limits -> (samples, channels): int16, int32 (24 bits, high bytes) or float32."""
    if bits == 0:
        return np.ascontiguousarray(audio.T)
    whole = integers(audio, bits).T
    if bits == 16:
        return np.ascontiguousarray(whole, np.int16)
    samples: np.ndarray = np.left_shift(whole, 8, order="C")
    return samples


def integers(audio: np.ndarray, bits: int) -> np.ndarray:
    """float32 (channels, samples) within the limits -> int32 of the same shape: steps of 16 or 24 bits."""
    out = np.empty(audio.shape, np.int32)
    _round(as_block(np.asarray(audio, np.float32)), np.float32(1 << (bits - 1)), out)
    return out


@kernel
def _round(audio, full, out):
    """To nearest, halves to even. Single precision holds the products and the limits of up to 24 bits exactly."""
    one = np.float32(1.0)
    for c in range(audio.shape[0]):
        source, target = audio[c], out[c]
        for i in range(len(source)):
            target[i] = np.int32(min(max(np.rint(source[i] * full), -full), full - one))
