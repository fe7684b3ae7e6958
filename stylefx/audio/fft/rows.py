"""Real Fourier transforms of rows, 16 side by side: scipy's rfft and irfft along the last axis, in a third of the time.

A row of n = 2 m samples is a complex row of m; that one is transformed by Stockham's algorithm (radices 4, 2, 3, 5, sorted as
it goes; C. Van Loan, "Computational Frameworks for the Fast Fourier Transform", 1992, section 1.7), and the bins of the real one
are taken from it. float32 throughout, turns rounded from double. Sizes that are odd or have other factors than 2, 3 and 5 go to
scipy. The same rows give the same bits on every processor, and beside whatever other rows.

numba's cache knows a loop by the content of its own file, so this one states that of butterflies: ``33408a940658``, a SHA-256. It
changes with it.
"""

from __future__ import annotations

import threading
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import scipy.fft

from stylefx.audio.fft.butterflies import (
    LANES,
    TILE,
    butterflies_2,
    butterflies_3,
    butterflies_4,
    butterflies_5,
    last_2,
    last_3,
    last_4,
    last_5,
    part_ways,
    part_ways_back,
    turn_tile,
    turn_tile_exchanged,
)
from stylefx.effects.kernels.jit import kernel

_RADICES = (4, 2, 3, 5)
_NUMBER = 2 * LANES * 4  # bytes of one number of all rows


class _Plan(NamedTuple):
    """Of one size: the radices, the turns of all their steps, and those between pairs of samples and samples, there and back."""

    radices: np.ndarray
    turns: np.ndarray
    there: np.ndarray
    back: np.ndarray


def rfft_rows(rows: np.ndarray) -> np.ndarray:
    """float32 (..., n) -> complex64 (..., n // 2 + 1)."""
    size = rows.shape[-1]
    plan = _plan(size)
    if plan is None:
        return np.asarray(scipy.fft.rfft(rows, axis=-1))
    out = np.empty((*rows.shape[:-1], size + 2), np.float32)
    flat = np.ascontiguousarray(rows).reshape(-1, size)
    _forward(flat, out.reshape(-1, size + 2), *plan[:3], _work(size))
    return out.view(np.complex64)


def irfft_rows(spectra: np.ndarray, size: int) -> np.ndarray:
    """complex64 (..., size // 2 + 1) -> float32 (..., size); imaginary parts of the first and the last bin do not count."""
    plan = _plan(size)
    if plan is None:
        return np.asarray(scipy.fft.irfft(spectra, n=size, axis=-1))
    out = np.empty((*spectra.shape[:-1], size), np.float32)
    flat = np.ascontiguousarray(spectra).view(np.float32).reshape(-1, size + 2)
    _inverse(flat, out.reshape(-1, size), plan.radices, plan.turns, plan.back, _work(size))
    return out


@lru_cache(maxsize=64)
def _plan(size: int) -> _Plan | None:
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
    return _Plan(np.array(radices), *(np.asarray(t, np.complex64) for t in (np.concatenate(turns), there, back)))


_memory = threading.local()


def _work(size: int) -> np.ndarray:
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
def _transform(one, other, m, radices, turns):
    """Complex transforms of length m from ``one``, with ``other`` as room, addresses; returns where the result lies."""
    stride, length = np.int64(1), m
    for radix in radices:
        length //= radix
        step, spread = stride * length * _NUMBER, stride * _NUMBER
        for p in range(length):
            source, target = one + stride * p * _NUMBER, other + stride * radix * p * _NUMBER
            if length > 1:
                _turned(radix, source, step, target, spread, turns + 8 * p * (radix - 1), stride)
            else:
                _last(radix, source, step, target, spread, stride)
        turns += 8 * length * (radix - 1)
        stride *= radix
        one, other = other, one
    return one


@kernel
def _turned(radix, source, step, target, spread, turns, count):
    if radix == 4:
        butterflies_4(source, step, target, spread, turns, count)
    elif radix == 2:
        butterflies_2(source, step, target, spread, turns, count)
    elif radix == 3:
        butterflies_3(source, step, target, spread, turns, count)
    else:
        butterflies_5(source, step, target, spread, turns, count)


@kernel
def _last(radix, source, step, target, spread, count):
    if radix == 4:
        last_4(source, step, target, spread, source, count)
    elif radix == 2:
        last_2(source, step, target, spread, source, count)
    elif radix == 3:
        last_3(source, step, target, spread, source, count)
    else:
        last_5(source, step, target, spread, source, count)


@kernel
def _forward(rows, out, radices, turns, there, work):
    """float32 (r, n) -> (r, n + 2), real and imaginary parts in turn."""
    count, n = rows.shape
    m = n // 2
    half = np.full(1, 0.5, np.float32)
    one, other, scale = np.int64(work[0].ctypes.data), np.int64(work[1].ctypes.data), np.int64(half.ctypes.data)
    for first in range(0, count, LANES):
        lanes = min(LANES, count - first)
        _to_lanes(rows, first, lanes, n, work[0])
        found = _transform(one, other, m, radices, np.int64(turns.ctypes.data))
        room = other if found == one else one
        at, to = (work[0], work[1]) if found == one else (work[1], work[0])
        for lane in range(LANES):
            re, im = at[lane], at[LANES + lane]
            to[lane], to[LANES + lane] = re + im, np.float32(0.0)
            to[2 * LANES * m + lane], to[2 * LANES * m + LANES + lane] = re - im, np.float32(0.0)
        for k in range(1, m // 2 + 1):
            part_ways(
                found + k * _NUMBER,
                found + (m - k) * _NUMBER,
                room + k * _NUMBER,
                room + (m - k) * _NUMBER,
                np.int64(there.ctypes.data) + 8 * k,
                scale,
            )
        _from_lanes(to, first, lanes, n + 2, out)
    half[0] = 0.0  # it must last until here


@kernel
def _inverse(spectra, out, radices, turns, back, work):
    """float32 (r, n + 2), real and imaginary parts in turn -> (r, n). Back is there with real and imaginary parts exchanged."""
    count, n = out.shape
    m = n // 2
    share = np.full(1, 0.5 / m, np.float32)
    one, other, scale = np.int64(work[0].ctypes.data), np.int64(work[1].ctypes.data), np.int64(share.ctypes.data)
    at, to = work[0], work[1]
    for first in range(0, count, LANES):
        lanes = min(LANES, count - first)
        _to_lanes(spectra, first, lanes, n + 2, at)
        for lane in range(LANES):
            low, high = share[0] * at[lane], share[0] * at[2 * LANES * m + lane]
            to[lane], to[LANES + lane] = low - high, low + high
        for k in range(1, m // 2 + 1):
            part_ways_back(
                one + k * _NUMBER,
                one + (m - k) * _NUMBER,
                other + k * _NUMBER,
                other + (m - k) * _NUMBER,
                np.int64(back.ctypes.data) + 8 * k,
                scale,
            )
        found = _transform(other, one, m, radices, np.int64(turns.ctypes.data))
        _exchanged_from_lanes(at if found == one else to, first, lanes, n, out)
    share[0] = 0.0  # it must last until here


@kernel
def _to_lanes(rows, first, lanes, columns, out):
    """rows[first : first + lanes, :columns] side by side, out (columns, LANES); lanes without a row hold what they held."""
    whole = columns - columns % TILE
    source, target = np.int64(rows[first].ctypes.data), np.int64(out.ctypes.data)
    row = 4 * rows.shape[1]
    for tile in range(0, lanes - lanes % TILE, TILE):
        for column in range(0, whole, TILE):
            turn_tile(source + row * tile + 4 * column, np.int64(row), target + 4 * (LANES * column + tile), np.int64(4 * LANES))
    for lane in range(lanes):
        for column in range(whole if lane < lanes - lanes % TILE else 0, columns):
            out[LANES * column + lane] = rows[first + lane, column]


@kernel
def _from_lanes(numbers, first, lanes, columns, rows):
    """The way back: (columns, LANES) -> rows[first : first + lanes]."""
    whole = columns - columns % TILE
    source, target = np.int64(numbers.ctypes.data), np.int64(rows[first].ctypes.data)
    row = 4 * rows.shape[1]
    for tile in range(0, lanes - lanes % TILE, TILE):
        for column in range(0, whole, TILE):
            turn_tile(source + 4 * (LANES * column + tile), np.int64(4 * LANES), target + row * tile + 4 * column, np.int64(row))
    for lane in range(lanes):
        for column in range(whole if lane < lanes - lanes % TILE else 0, columns):
            rows[first + lane, column] = numbers[LANES * column + lane]


@kernel
def _exchanged_from_lanes(numbers, first, lanes, columns, rows):
    """``_from_lanes`` of numbers whose real and imaginary parts are exchanged."""
    whole = columns - columns % TILE
    source, target = np.int64(numbers.ctypes.data), np.int64(rows[first].ctypes.data)
    row = 4 * rows.shape[1]
    for tile in range(0, lanes - lanes % TILE, TILE):
        for column in range(0, whole, TILE):
            place = target + row * tile + 4 * column
            turn_tile_exchanged(source + 4 * (LANES * column + tile), np.int64(4 * LANES), place, np.int64(row))
    for lane in range(lanes):
        for column in range(whole if lane < lanes - lanes % TILE else 0, columns):
            rows[first + lane, column] = numbers[LANES * (column ^ 1) + lane]
