"""Bits out of a FLAC stream, compiled: numbers, Rice codes, and codes whose prediction is undone on the way."""

from __future__ import annotations

import numpy as np

from stylefx.audio.flac.words import leading_zeros, load_word
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
def _code(word, high, low, lowest):
    """The signed number of a code at a word's top; ``lowest`` is 63 - low, so that two shifts take the low bits."""
    value = (high << low) | np.int64(((word << np.uint64((high + 1) & 63)) >> np.uint64(1)) >> np.uint64(lowest))
    return (value >> 1) ^ -(value & 1)


@kernel
def _long_code(base, place, end, low):
    """A code that no single word holds, and the bit place behind it."""
    high = zeros(base, place, end)
    place += high + 1
    value = (high << low) | unsigned(base, place, low)
    return (value >> 1) ^ -(value & 1), place + low


@kernel
def codes(base, place, end, low, y, first, last):
    """Codes with ``low`` low bits into y[first:last]; the bit place behind them, -1 where the data ends."""
    out, lowest, i, n = y[first:last], 63 - low, 0, last - first
    while i < n:
        word = load_word(base + (place >> 3)) << np.uint64(place & 7)
        high = leading_zeros(word)
        used = high + 1 + low
        if used > 57:
            out[i], place = _long_code(base, place, end, low)
            i += 1
        else:
            # A word mostly holds three codes: what waits for memory is the first of them alone.
            second = word << np.uint64(used & 63)
            high2 = leading_zeros(second)
            third = second << np.uint64((high2 + 1 + low) & 63)
            high3 = leading_zeros(third)
            out[i] = _code(word, high, low, lowest)
            if used + high2 + high3 + 2 * (1 + low) <= 57 and i + 3 <= n:
                out[i + 1] = _code(second, high2, low, lowest)
                out[i + 2] = _code(third, high3, low, lowest)
                place += used + high2 + high3 + 2 * (1 + low)
                i += 3
            else:
                place += used
                i += 1
        if place > end:
            return -1
    return place


@kernel
def predicted(base, place, end, low, y, first, last, c, shift, h):
    """As ``codes``, and linear prediction of order 8 undone on the way: its products fill the time that codes wait for one
    another. h (8,) are the samples before y[first], the last one first; it comes back as those before y[last]."""
    out, lowest, i, n = y[first:last], 63 - low, 0, last - first
    c0, c1, c2, c3, c4, c5, c6, c7 = c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7]
    h0, h1, h2, h3, h4, h5, h6, h7 = h[0], h[1], h[2], h[3], h[4], h[5], h[6], h[7]
    while i < n:
        word = load_word(base + (place >> 3)) << np.uint64(place & 7)
        high = leading_zeros(word)
        used = high + 1 + low
        second = word << np.uint64(used & 63)
        high2 = leading_zeros(second)
        third = second << np.uint64((high2 + 1 + low) & 63)
        high3 = leading_zeros(third)
        used3 = used + high2 + high3 + 2 * (1 + low)
        if used3 <= 57 and i + 3 <= n:
            older = (c7 * h7 + c6 * h6) + (c5 * h5 + c4 * h4) + (c3 * h3 + c2 * h2) + c1 * h1
            g0 = _code(word, high, low, lowest) + ((older + c0 * h0) >> shift)
            older = (c7 * h6 + c6 * h5) + (c5 * h4 + c4 * h3) + (c3 * h2 + c2 * h1) + c1 * h0
            g1 = _code(second, high2, low, lowest) + ((older + c0 * g0) >> shift)
            older = (c7 * h5 + c6 * h4) + (c5 * h3 + c4 * h2) + (c3 * h1 + c2 * h0) + c1 * g0
            g2 = _code(third, high3, low, lowest) + ((older + c0 * g1) >> shift)
            h7, h6, h5, h4, h3, h2, h1, h0 = h4, h3, h2, h1, h0, g0, g1, g2
            out[i], out[i + 1], out[i + 2] = g0, g1, g2
            place += used3
            i += 3
        else:
            if used > 57:
                value, place = _long_code(base, place, end, low)
            else:
                value = _code(word, high, low, lowest)
                place += used
            older = (c7 * h7 + c6 * h6) + (c5 * h5 + c4 * h4) + (c3 * h3 + c2 * h2) + c1 * h1
            g0 = value + ((older + c0 * h0) >> shift)
            h7, h6, h5, h4, h3, h2, h1, h0 = h6, h5, h4, h3, h2, h1, h0, g0
            out[i] = g0
            i += 1
        if place > end:
            return -1
    h[0], h[1], h[2], h[3], h[4], h[5], h[6], h[7] = h0, h1, h2, h3, h4, h5, h6, h7
    return place
