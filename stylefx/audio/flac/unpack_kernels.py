"""Bits out of a FLAC stream, compiled: numbers, Rice codes, and codes whose prediction is undone on the way."""

from __future__ import annotations

import numpy as np

from stylefx.audio.flac.words import FAR, LANES, leading_zeros, load_word, weigh_history
from stylefx.effects.kernels.jit import kernel


@kernel
def unsigned(base, place, count):
    """``count`` bits (0..57) at a bit place, unsigned."""
    if count == 0:
        return np.int64(0)
    word = load_word(base + (place >> 3)) << np.uint64(place & 7)
    return np.int64(word >> np.uint64(64 - count))


@kernel
def signed(base, place, count):
    """``count`` bits (0..57) at a bit place, in two's complement."""
    if count == 0:
        return np.int64(0)
    word = load_word(base + (place >> 3)) << np.uint64(place & 7)
    return np.int64(word) >> np.int64(64 - count)


@kernel
def zeros(base, place, end):
    """Zero bits from a bit place on, at most to ``end``."""
    first = place
    while place < end:
        word = load_word(base + (place >> 3)) << np.uint64(place & 7)
        zeros = leading_zeros(word)
        if zeros < 57:
            return place + zeros - first
        place += 57
    return end - first


@kernel
def _code(shifted, high, low, lowest):
    """The signed number of a code of which ``high`` zeros were shifted out of the top; ``lowest`` is 63 - low."""
    value = np.int64(shifted >> np.uint64(lowest)) + ((high - 1) << low)
    return (value >> 1) ^ -(value & 1)


@kernel
def _long_code(base, place, end, low):
    """A code that no single word holds, and the bit place behind it."""
    high = zeros(base, place, end)
    place += high + 1
    value = (high << low) | unsigned(base, place, low)
    return (value >> 1) ^ -(value & 1), place + low


@kernel
def _one(base, place, end, low):
    """A code of any length, and the bit place behind it."""
    word = load_word(base + (place >> 3)) << np.uint64(place & 7)
    high = leading_zeros(word)
    if high + 1 + low > 57:
        return _long_code(base, place, end, low)
    return _code(word << np.uint64(high & 63), high, low, 63 - low), place + high + 1 + low


@kernel
def codes(base, place, end, low, y, first, last):
    """Codes with ``low`` low bits into y[first:last]; the bit place behind them, -1 where the data ends."""
    lowest, i, fixed, three = 63 - low, first, low + 1, low <= 13
    group = 3 if three else 2  # as many as 56 bits mostly hold
    while i < last:
        # The next bytes are read while codes of the last ones are still told apart: of ``word``, 56 bits and more are known.
        address, left = base + (place >> 3) + 7, 56 - (place & 7)
        word, limit = load_word(address - 7) << np.uint64(place & 7), base + (end >> 3) + 8
        while i + group <= last and address <= limit:
            word |= load_word(address) >> np.uint64(left)
            high0 = leading_zeros(word)
            code0 = word << np.uint64(high0 & 63)
            rest = code0 << np.uint64(fixed & 63)
            high1 = leading_zeros(rest)
            code1 = rest << np.uint64(high1 & 63)
            rest = code1 << np.uint64(fixed & 63)
            used, at = high0 + high1 + 2 * fixed, np.uint64(i)
            if three:
                high2 = leading_zeros(rest)
                code2 = rest << np.uint64(high2 & 63)
                rest = code2 << np.uint64(fixed & 63)
                used += high2 + fixed
                y[at + np.uint64(2)] = _code(code2, high2, low, lowest)
            if used > 56:
                break
            y[at] = _code(code0, high0, low, lowest)
            y[at + np.uint64(1)] = _code(code1, high1, low, lowest)
            word, address = rest, address + ((63 - left) >> 3)
            left = (left | 56) - used
            i += group
        place = (address - base) * 8 - left
        if i < last:
            y[i], place = _one(base, place, end, low)
            i += 1
        if place > end:
            return -1
    return place


@kernel
def far_weights(c, table):
    """What ``predicted`` has to know of coefficients c (8,): those of the samples from the third last on, for four in a row.
    The last row is room for sums."""
    table[:] = 0
    for row in range(FAR):
        for lane in range(min(LANES, FAR - row)):
            table[row, lane] = c[2 + row + lane]


@kernel
def predicted(base, place, end, low, y, first, last, c, far, shift):
    """As ``codes``, and linear prediction of order 8 undone on the way: its products fill the time that codes wait for one
    another. Four samples in a row: what older samples weigh in them is added up side by side. first is 8 or more."""
    lowest, i, sums = 63 - low, first, far[FAR]
    c0, c1, c2, c3, c4 = c[0], c[1], c[2], c[3], c[4]
    values, weights, total, one = np.int64(y.ctypes.data), np.int64(far.ctypes.data), np.int64(sums.ctypes.data), low + 1
    h0, h1 = y[first - 1], y[first - 2]
    while i < last:
        weigh_history(values + 8 * i, weights, total)
        word = load_word(base + (place >> 3)) << np.uint64(place & 7)
        high0 = leading_zeros(word)
        code0 = word << np.uint64(high0 & 63)
        word = code0 << np.uint64(one & 63)
        high1 = leading_zeros(word)
        code1 = word << np.uint64(high1 & 63)
        used = high0 + high1 + 2 * one
        if low > 9:
            place += used
            word = load_word(base + (place >> 3)) << np.uint64(place & 7)
            more = np.int64(0)
        else:
            word = code1 << np.uint64(one & 63)
            more = used
        high2 = leading_zeros(word)
        code2 = word << np.uint64(high2 & 63)
        word = code2 << np.uint64(one & 63)
        high3 = leading_zeros(word)
        code3 = word << np.uint64(high3 & 63)
        more += high2 + high3 + 2 * one
        if used <= 57 and more <= 57 and i + 4 <= last:
            place += more
            g0 = _code(code0, high0, low, lowest) + ((sums[0] + c1 * h1 + c0 * h0) >> shift)
            g1 = _code(code1, high1, low, lowest) + ((sums[1] + (c2 * h1 + c1 * h0) + c0 * g0) >> shift)
            g2 = _code(code2, high2, low, lowest) + ((sums[2] + (c3 * h1 + c2 * h0) + c1 * g0 + c0 * g1) >> shift)
            older = sums[3] + (c4 * h1 + c3 * h0) + c2 * g0
            g3 = _code(code3, high3, low, lowest) + ((older + c1 * g1 + c0 * g2) >> shift)
            at = np.uint64(i)
            y[at], y[at + np.uint64(1)], y[at + np.uint64(2)], y[at + np.uint64(3)] = g0, g1, g2, g3
            h1, h0 = g2, g3
            i += 4
        else:
            if low > 9:
                place -= used
            value, place = _one(base, place, end, low)
            value += (sums[0] + c1 * h1 + c0 * h0) >> shift
            y[i], h1, h0 = value, h0, value
            i += 1
        if place > end:
            return -1
    return place
