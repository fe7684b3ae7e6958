"""What is done to LANES rows side by side: into lanes and out of them, from samples to bins and back.

Rows in lanes are numbers of LANES real and LANES imaginary parts each, in one of the two halves of ``work``, float32
(2, LANES x (n + 2)); a number of a row of samples is two of them. The halves take turns, and every function says where its
result lies.

numba's cache knows a loop by the content of its own file, so this one states that of butterflies and tiles: ``e44a525fbc20``, a
SHA-256. It changes with them, and who calls what is here states this file's.
"""

from __future__ import annotations

import numpy as np

from stylefx.audio.fft.butterflies import (
    LANES,
    butterflies_2,
    butterflies_3,
    butterflies_4,
    butterflies_5,
    part_ways,
    part_ways_back,
)
from stylefx.audio.fft.tiles import TILE, turn_tile, turn_tile_exchanged, turn_windowed
from stylefx.effects.kernels.jit import kernel

_NUMBER = 2 * LANES * 4  # bytes of one number of all rows


@kernel
def bins_of_samples(work, m, radices, turns, there):
    """2 m samples in work[0] -> m + 1 bins in work[the result]."""
    half = np.full(1, 0.5, np.float32)
    one, other, scale = np.int64(work[0].ctypes.data), np.int64(work[1].ctypes.data), np.int64(half.ctypes.data)
    found = _transform(one, other, m, radices, np.int64(turns.ctypes.data))
    room, result = (other, 1) if found == one else (one, 0)
    at, to = work[1 - result], work[result]
    for lane in range(LANES):
        re, im = at[lane], at[LANES + lane]
        to[lane], to[LANES + lane] = re + im, np.float32(0.0)
        to[2 * LANES * m + lane], to[2 * LANES * m + LANES + lane] = re - im, np.float32(0.0)
    for k in range(1, m // 2 + 1):
        near, far, turn = k * _NUMBER, (m - k) * _NUMBER, np.int64(there.ctypes.data) + 8 * k
        part_ways(found + near, found + far, room + near, room + far, turn, scale)
    half[0] = 0.0  # it must last until here
    return result


@kernel
def samples_of_bins(work, bins, m, radices, turns, back):
    """m + 1 bins in work[bins] -> 2 m samples in work[the result], every two of them exchanged: a transform back is one there
    with real and imaginary parts exchanged. Imaginary parts of the first and the last bin do not count."""
    share = np.full(1, 0.5 / m, np.float32)
    at, to = work[bins], work[1 - bins]
    one, other, scale = np.int64(at.ctypes.data), np.int64(to.ctypes.data), np.int64(share.ctypes.data)
    for lane in range(LANES):
        low, high = share[0] * at[lane], share[0] * at[2 * LANES * m + lane]
        to[lane], to[LANES + lane] = low - high, low + high
    for k in range(1, m // 2 + 1):
        near, far, turn = k * _NUMBER, (m - k) * _NUMBER, np.int64(back.ctypes.data) + 8 * k
        part_ways_back(one + near, one + far, other + near, other + far, turn, scale)
    found = _transform(other, one, m, radices, np.int64(turns.ctypes.data))
    share[0] = 0.0  # it must last until here
    return bins if found == one else 1 - bins


@kernel
def _transform(one, other, m, radices, turns):
    """Complex transforms of length m from ``one``, with ``other`` as room, addresses; returns where the result lies."""
    stride, length = np.int64(1), m
    for radix in radices:
        length //= radix
        step, spread = stride * length * _NUMBER, stride * _NUMBER
        for p in range(length):
            source, target = one + stride * p * _NUMBER, other + stride * radix * p * _NUMBER
            turn = turns + 8 * p * (radix - 1) if length > 1 else np.int64(0)  # in the last step there is nothing to turn
            if radix == 4:
                butterflies_4(source, step, target, spread, turn, stride)
            elif radix == 2:
                butterflies_2(source, step, target, spread, turn, stride)
            elif radix == 3:
                butterflies_3(source, step, target, spread, turn, stride)
            else:
                butterflies_5(source, step, target, spread, turn, stride)
        turns += 8 * length * (radix - 1)
        stride *= radix
        one, other = other, one
    return one


@kernel
def windowed_to_lanes(audio, centres, window, first, lanes, out, edges, places):
    """Rows first .. first + lanes - 1 of windowed segments around centres (samples, may lie outside), a row for each channel of
    audio (channels, n); the window's length a multiple of TILE. edges: room for segments that reach outside, (LANES, window);
    places: for addresses, int64 (LANES,)."""
    size, (channels, length) = len(window), audio.shape
    for lane in range(LANES):
        row = first + min(lane, lanes - 1)
        start, channel = centres[row // channels] - size // 2, row % channels
        if start >= 0 and start + size <= length:
            places[lane] = np.int64(audio.ctypes.data) + 4 * (channel * length + start)
        else:
            cut(audio[channel], start, edges[lane])
            places[lane] = np.int64(edges[lane].ctypes.data)
    for tile in range(0, lanes, TILE):
        for column in range(0, size, TILE):
            target = np.int64(out.ctypes.data) + 4 * (LANES * column + tile)
            taper = np.int64(window.ctypes.data) + 4 * column
            turn_windowed(np.int64(places[tile:].ctypes.data), np.int64(4 * column), taper, target, np.int64(4 * LANES))


@kernel
def cut(signal, start, out):
    """signal[start : start + len(out)], silence outside of it."""
    first = min(len(out), max(0, -start))
    last = max(first, min(len(out), len(signal) - start))
    out[:first] = np.float32(0.0)
    out[last:] = np.float32(0.0)
    out[first:last] = signal[start + first : start + last]


@kernel
def to_lanes(rows, first, lanes, columns, out):
    """rows[first : first + lanes, :columns] side by side, out (columns, LANES); lanes without a row hold what they held."""
    whole = columns - columns % TILE
    source, target = np.int64(rows[first].ctypes.data), np.int64(out.ctypes.data)
    row = rows.strides[0]
    for tile in range(0, lanes - lanes % TILE, TILE):
        for column in range(0, whole, TILE):
            turn_tile(source + row * tile + 4 * column, np.int64(row), target + 4 * (LANES * column + tile), np.int64(4 * LANES))
    for lane in range(lanes):
        for column in range(whole if lane < lanes - lanes % TILE else 0, columns):
            out[LANES * column + lane] = rows[first + lane, column]


@kernel
def from_lanes(numbers, first, lanes, columns, rows, exchanged):
    """The way back: (columns, LANES) -> rows[first : first + lanes]. ``exchanged``: 1 where both parts are, else 0."""
    whole = columns - columns % TILE
    source, target, apart = np.int64(numbers.ctypes.data), np.int64(rows[first].ctypes.data), np.int64(4 * LANES)
    row = np.int64(rows.strides[0])
    for tile in range(0, lanes - lanes % TILE, TILE):
        for column in range(0, whole, TILE):
            here, there = source + 4 * (LANES * column + tile), target + row * tile + 4 * column
            if exchanged:
                turn_tile_exchanged(here, apart, there, row)
            else:
                turn_tile(here, apart, there, row)
    for lane in range(lanes):
        for column in range(whole if lane < lanes - lanes % TILE else 0, columns):
            rows[first + lane, column] = numbers[LANES * (column ^ exchanged) + lane]
