"""Samples to FLAC frames (RFC 9639, sections 9 and 10), compiled: blocks of one channel or two, fixed or linear prediction.

Of the fixed predictors the one with the smallest residual is taken; linear prediction of order 8 where its expected
residual is clearly smaller. Residuals are Rice codes in up to 64 partitions; a block that they do not make smaller is kept
as it is, one that holds a single value as that value. Arithmetic is in whole numbers, or in doubles that hold them exactly
where it decides what is written, so the same samples give the same bytes wherever this runs.

numba's cache knows a loop by the content of its own file, so this one states that of checksums, predict_kernels and words:
``33603ded7232``, a SHA-256. It changes with them.
"""

from __future__ import annotations

import numpy as np

from stylefx.audio.flac.checksums import checksum
from stylefx.audio.flac.predict_kernels import (
    BEFORE,
    ORDER,
    PRECISION,
    cheapest,
    fixed_order,
    fixed_residual,
    layout_of,
    linear_residual,
    lowest_bit,
    prediction,
)
from stylefx.audio.flac.words import LANES, load_word, store_word
from stylefx.effects.kernels.jit import kernel

_FINEST = 6  # partitions are 2 ** this at most
CONSTANT, VERBATIM, FIXED, LINEAR = 0, 1, 8, 32


@kernel
def put(base, place, value, count):
    """``count`` bits (0..57) of value at a bit place of zeroed memory."""
    address = base + (place >> 3)
    bits = np.uint64(value & ((np.int64(1) << count) - 1))
    store_word(address, load_word(address) | bits << np.uint64(64 - count - (place & 7)))
    return place + count


@kernel
def put_all(base, place, values, count, width):
    """The first ``count`` of values, ``width`` bits each."""
    for i in range(count):
        place = put(base, place, np.int64(values[i]), width)
    return place


@kernel
def fold(residual, order, size, u, sums):
    """Residual to whole numbers from 0 on, and their sums in the finest partitions; how often the block is halved for those."""
    finest = 0
    while finest < _FINEST and size % (2 << finest) == 0 and (size >> (finest + 1)) > 32:
        finest += 1
    first = order
    for part in range(1 << finest):
        last = (part + 1) * (size >> finest)
        given, folded, total = residual[first:last], u[first:last], np.uint64(0)
        for i in range(len(given)):
            value = np.uint32(np.int32(given[i] << 1) ^ np.int32(given[i] >> 31))
            folded[i] = value
            total += np.uint64(value)
        sums[part], first = np.int64(total), last
    return finest


@kernel
def partition(finest, order, size, lowest, sums, chosen):
    """Partitions of a folded residual by its sums in the finest ones: their order, bits in all, whether parameters take five
    bits; chosen[k] is the parameter of partition k."""
    kept = sums[1 << _FINEST :]
    kept[: 1 << finest] = sums[: 1 << finest]
    best, depth = np.int64(1) << 60, 0
    for d in range(finest, -1, -1):
        width, bits = size >> d, np.int64(0)
        for part in range(1 << d):
            bits += lowest + cheapest(sums[part], width - (order if part == 0 else 0), 30)[1]
        if bits < best:
            best, depth = bits, d
        for part in range(1 << d >> 1):
            sums[part] = sums[2 * part] + sums[2 * part + 1]
    wide, each = 0, 1 << (finest - depth)
    for part in range(1 << depth):
        total = kept[part * each : (part + 1) * each].sum()
        chosen[part] = cheapest(total, (size >> depth) - (order if part == 0 else 0), 30)[0]
        wide = max(wide, chosen[part])
    return depth, best, wide > 14


@kernel
def _write_code(base, place, value, low):
    """One code with ``low`` low bits, however long; the bit place behind it."""
    high = value >> low
    while high > 0:
        step = min(high, np.int64(48))
        place = put(base, place, 0, step)
        high -= step
    return put(base, place, np.int64(1) << low | value & ((np.int64(1) << low) - 1), 1 + low)


@kernel
def _pair(u, low, both, lengths):
    """Codes of every two numbers as one, and its length; what is longer than a word is left to others by that length."""
    words, down, one = u.view(np.uint64), np.uint64(low), np.uint64(1) << np.uint64(low)
    for i in range(len(words)):
        a, b = words[i] & np.uint64(0xFFFFFFFF), words[i] >> np.uint64(32)
        length = (b >> down) + down + np.uint64(1)
        both[i] = (one | (a & (one - np.uint64(1)))) << (length & np.uint64(63)) | one | (b & (one - np.uint64(1)))
        lengths[i] = length + (a >> down) + down + np.uint64(1)


@kernel
def write_codes(base, place, u, first, last, low, pairs):
    """Codes of the folded residual u[first:last] with ``low`` low bits; the bit place behind them."""
    if (last - first) & 1:
        place = _write_code(base, place, np.int64(u[first]), low)
        first += 1
    both, lengths = pairs[0], pairs[1]
    _pair(u[first:last], low, both, lengths)
    address, used = base + (place >> 3), place & 7
    pending = load_word(address)
    for i in range((last - first) >> 1):
        length = np.int64(lengths[i])
        if length > 56:
            store_word(address, pending)
            place = _write_code(base, (address - base) * 8 + used, np.int64(u[first + 2 * i]), low)
            place = _write_code(base, place, np.int64(u[first + 2 * i + 1]), low)
            address, used = base + (place >> 3), place & 7
            pending = load_word(address)
        else:
            pending |= both[i] << np.uint64(64 - used - length)
            store_word(address, pending)
            used += length
            address += used >> 3
            pending = pending << np.uint64(used & 56)
            used &= 7
    store_word(address, pending)
    return (address - base) * 8 + used


@kernel
def _subframe(base, place, x, size, bits, window, weighed, residual, folded, sums, chosen, q, pairs, gain):
    """One channel of a block, x[:size] of ``bits`` each, is written; x may be changed. The bit place behind it."""
    union, differ, first = np.int32(0), np.int32(0), x[0]
    for i in range(size):
        union |= x[i]
        differ |= np.int32(x[i] ^ first)
    if differ == 0:
        return put(base, place, np.int64(first) & ((np.int64(1) << bits) - 1), 8 + bits)
    wasted = lowest_bit(union)
    if wasted:
        for i in range(size):
            x[i] = np.int32(x[i] >> wasted)
        bits -= wasted
    kind, shift = FIXED, 0
    order, least = fixed_order(x, size) if size > 16 else (0, np.int64(0))
    if size >= 64 and least > 0:
        shift, left = prediction(x, size, bits, window, weighed, q)
        # The window keeps 5 / 8 of the energy or more; a residual's mean size is at least its root mean square / 1.5.
        if (
            shift >= 0
            and left * size < 1.4 * gain * gain * float(least) * float(least)
            and linear_residual(x, q, shift, size, weighed[BEFORE:], residual)
        ):
            total = np.int64(0)
            for i in range(ORDER, size):
                total += np.int32(abs(residual[i]))
            if total < gain * least:
                kind, order = LINEAR, ORDER
    if kind == FIXED:
        fixed_residual(x, order, size, residual)
    finest = fold(residual, order, size, folded, sums)
    depth, cost, wide = partition(finest, order, size, 5 if bits > 16 else 4, sums, chosen)
    if cost + order * bits + 6 >= size * bits:
        kind, order = VERBATIM, 0
    lead = (kind + (order - 1 if kind == LINEAR else order)) << 1 | (1 if wasted else 0)
    place = put(base, place, lead << wasted | (1 if wasted else 0), 8 + wasted)
    place = put_all(base, place, x, size if kind == VERBATIM else order, bits)
    if kind == VERBATIM:
        return place
    if kind == LINEAR:
        place = put(base, place, (PRECISION - 1) << 5 | shift, 9)
        place = put_all(base, place, q, ORDER, PRECISION)
    place = put(base, place, (1 if wide else 0) << 4 | depth, 6)
    first = order
    for part in range(1 << depth):
        last = (part + 1) * (size >> depth)
        place = put(base, place, chosen[part], 5 if wide else 4)
        place = write_codes(base, place, folded, first, last, chosen[part], pairs)
        first = last
    return place


@kernel
def _header(data, base, place, number, layout, size, block, bits, rate, crc8):
    """Frame header at a byte; the byte behind it. rate: the code of the sample rate, what follows it, and in how many bits."""
    whole = size == 4096 and block == 4096
    first = np.int64(0xFFF8) << 16 | (12 if whole else 7) << 12 | rate[0] << 8 | layout << 4 | (4 if bits == 16 else 6) << 1
    at = put(base, place * 8, first, 32)
    more = 0 if number < 0x80 else 1
    while more and number >= np.int64(1) << (5 * more + 6):
        more += 1
    coded = number if more == 0 else (0xFF00 >> (more + 1)) & 0xFF | number >> (6 * more)
    for k in range(more - 1, -1, -1):
        coded = coded << 8 | 0x80 | (number >> (6 * k)) & 63
    at = put(base, at, coded, 8 + 8 * more)
    if not whole:
        at = put(base, at, size - 1, 16)
    at = put(base, at, rate[1], rate[2])
    crc = np.uint8(0)
    for i in range(place, at >> 3):
        crc = crc8[crc ^ data[i]]
    return put(base, at, np.int64(crc), 8) >> 3


@kernel
def encode_frames(samples, bits, rate, block, windows, crc8, crc16, out, places, gain):
    """int32 (channels, n) of 16 or 24 ``bits`` -> frames in ``out``, zeroed bytes enough for the worst; their number of bytes.

    windows: float64 (2, block), for whole blocks and for the last, shorter one. places: the byte where each frame begins.
    """
    channels, n = samples.shape
    base, place, number = np.int64(out.ctypes.data), np.int64(0), np.int64(0)
    x, pair = np.empty((channels, block), np.int32), np.empty((2, block), np.int32)
    weighed, residual, folded = np.zeros(BEFORE + LANES + block), np.empty(block, np.int32), np.empty(block, np.uint32)
    sums, chosen, q = np.zeros(2 << _FINEST, np.int64), np.zeros(1 << _FINEST, np.int64), np.zeros(ORDER)
    pairs = np.empty((2, block // 2), np.uint64)
    for start in range(0, n, block):
        size = min(block, n - start)
        for c in range(channels):
            here, given = x[c], samples[c, start : start + size]
            for i in range(size):
                here[i] = given[i]
        layout = layout_of(x, size, bits, pair) if channels == 2 else 0
        places[number] = place
        at = _header(out, base, place, number, layout, size, block, bits, rate, crc8) * 8
        window = windows[0] if size == block else windows[1]
        for c in range(channels):
            side = (layout == 8 and c == 1) or (layout == 9 and c == 0) or (layout == 10 and c == 1)
            at = _subframe(
                base, at, x[c], size, bits + (1 if side else 0), window, weighed, residual, folded, sums, chosen, q, pairs, gain
            )  # fmt: skip
        end = (at + 7) >> 3
        put(base, end * 8, checksum(out, place, end, crc16), 16)
        place, number = end + 2, number + 1
    return place
