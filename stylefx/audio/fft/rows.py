"""Real Fourier transforms of rows, 16 side by side: scipy's rfft and irfft along the last axis, in about half the time.

A row of n = 2 m samples is a complex row of m; that one is transformed by Stockham's algorithm (radices 4, 2, 3, 5, sorted as
it goes; C. Van Loan, "Computational Frameworks for the Fast Fourier Transform", 1992, section 1.7), and the bins of the real one
are taken from it. float32 throughout, turns rounded from double. Sizes that are odd or have other factors than 2, 3 and 5 go to
scipy. The same rows give the same bits on every processor, and beside whatever other rows.

numba's cache knows a loop by the content of its own file, so this one states that of lanes: ``a533c1d46af8``, a SHA-256. It
changes with it.
"""

from __future__ import annotations

import threading
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import scipy.fft

from stylefx.audio.fft.butterflies import LANES
from stylefx.audio.fft.lanes import (
    bins_of_samples,
    cut,
    from_lanes,
    samples_of_bins,
    to_lanes,
    windowed_to_lanes,
)
from stylefx.audio.fft.tiles import TILE
from stylefx.effects.kernels.jit import kernel

_RADICES = (4, 2, 3, 5)


class FFTPlan(NamedTuple):
    """Of one size: the radices, the turns of all their steps, and those between pairs of samples and samples, there and back."""

    radices: np.ndarray
    turns: np.ndarray
    there: np.ndarray
    back: np.ndarray


def rfft_rows(rows: np.ndarray) -> np.ndarray:
    """float32 (..., n) -> complex64 (..., n // 2 + 1)."""
    size = rows.shape[-1]
    plan = plan_of(size)
    if plan is None:
        return np.asarray(scipy.fft.rfft(rows, axis=-1))
    out = np.empty((*rows.shape[:-1], size + 2), np.float32)
    flat = np.ascontiguousarray(rows).reshape(-1, size)
    _forward(flat, out.reshape(-1, size + 2), *plan[:3], room_for(size))
    return out.view(np.complex64)


def windowed_rfft(audio: np.ndarray, centres: np.ndarray, window: np.ndarray) -> np.ndarray:
    """Spectra of windowed segments around ``centres`` (samples, int64, may lie outside, where there is silence).

    float32 (channels, n) -> complex64 (centres, channels, len(window) // 2 + 1).
    """
    size, channels = len(window), len(audio)
    plan = plan_of(size)
    if plan is None or size % TILE:
        segments = np.empty((len(centres), channels, size), np.float32)
        _segments(audio, centres, segments)
        segments *= window
        return rfft_rows(segments)
    out = np.empty((len(centres), channels, size + 2), np.float32)
    room = np.empty((LANES, size), np.float32), np.empty(LANES, np.int64)
    audio = np.ascontiguousarray(audio)
    _forward_windowed(audio, centres, window, out.reshape(-1, size + 2), *plan[:3], room_for(size), *room)
    return out.view(np.complex64)


def irfft_rows(spectra: np.ndarray, size: int) -> np.ndarray:
    """complex64 (..., size // 2 + 1) -> float32 (..., size); imaginary parts of the first and the last bin do not count."""
    plan = plan_of(size)
    if plan is None:
        return np.asarray(scipy.fft.irfft(spectra, n=size, axis=-1))
    out = np.empty((*spectra.shape[:-1], size), np.float32)
    flat = np.ascontiguousarray(spectra).view(np.float32).reshape(-1, size + 2)
    _inverse(flat, out.reshape(-1, size), plan.radices, plan.turns, plan.back, room_for(size))
    return out


@lru_cache(maxsize=64)
def plan_of(size: int) -> FFTPlan | None:
    half = size // 2
    radices, left = [], half
    for radix in _RADICES:
        while left % radix == 0 and left > 1:
            radices.append(radix)
            left //= radix
    if size % 2 or size < 4 or left != 1:
        return None
    turns, length = [], half
    for radix in radices:
        length //= radix
        angles = np.outer(np.arange(length), np.arange(1, radix)) / (length * radix)
        turns.append(np.exp(-2j * np.pi * angles).ravel())
    around = np.exp(-2j * np.pi * np.arange(half // 2 + 1) / size)
    there, back = -0.5j * around, (0.5j / half) * around.conj()
    return FFTPlan(np.array(radices), *(np.asarray(t, np.complex64) for t in (np.concatenate(turns), there, back)))


_memory = threading.local()


def room_for(size: int) -> np.ndarray:
    """Two buffers of LANES rows each, float32 (2, LANES * (size + 2)), on places that vectors like; one pair a thread."""
    needed = LANES * (size + 2)
    held = getattr(_memory, "held", None)
    if held is None or held.shape[1] < needed:
        raw = np.empty(2 * (needed + 32) + 16, np.float32)
        first = -(raw.ctypes.data // 4) % 16
        each = needed + -needed % 16
        held = _memory.held = raw[first : first + 2 * each].reshape(2, each)
    return held


@kernel
def _forward(rows, out, radices, turns, there, work):
    """float32 (r, n) -> (r, n + 2), real and imaginary parts in turn."""
    count, n = rows.shape
    for first in range(0, count, LANES):
        lanes = min(LANES, count - first)
        to_lanes(rows, first, lanes, n, work[0])
        found = bins_of_samples(work, n // 2, radices, turns, there)
        from_lanes(work[found], first, lanes, n + 2, out, 0)


@kernel
def _forward_windowed(audio, centres, window, out, radices, turns, there, work, edges, places):
    """Rows of out, a row for each channel of each segment."""
    count, n = out.shape[0], len(window)
    for first in range(0, count, LANES):
        lanes = min(LANES, count - first)
        windowed_to_lanes(audio, centres, window, first, lanes, work[0], edges, places)
        found = bins_of_samples(work, n // 2, radices, turns, there)
        from_lanes(work[found], first, lanes, n + 2, out, 0)


@kernel
def _segments(audio, centres, out):
    for i in range(out.shape[0]):
        for c in range(out.shape[1]):
            cut(audio[c], centres[i] - out.shape[2] // 2, out[i, c])


@kernel
def _inverse(spectra, out, radices, turns, back, work):
    """float32 (r, n + 2), real and imaginary parts in turn -> (r, n)."""
    count, n = out.shape
    for first in range(0, count, LANES):
        lanes = min(LANES, count - first)
        to_lanes(spectra, first, lanes, n + 2, work[0])
        found = samples_of_bins(work, 0, n // 2, radices, turns, back)
        from_lanes(work[found], first, lanes, n, out, 1)
