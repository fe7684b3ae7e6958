"""FLAC frames to samples (RFC 9639, sections 9 and 10), compiled. What it cannot read it leaves to others: a negative answer.

numba's cache knows a loop by the content of its own file, so this one states that of checksums, unpack_kernels and words:
``f24aa5dfeb88``, a SHA-256. It changes with them.
"""

from __future__ import annotations

import numpy as np

from stylefx.audio.flac.checksums import checksum
from stylefx.audio.flac.unpack_kernels import codes, far_weights, predicted, signed, unsigned, zeros
from stylefx.audio.flac.words import FAR, LANES
from stylefx.effects.kernels.jit import kernel

PADDING = 32  # zero bytes that must follow the data: words are read whole
_MAX_BLOCK = 65536


@kernel
def undo_fixed(y, order, size):
    """Residual to samples for the fixed predictors, in place: sums of sums."""
    if order == 1:
        a = y[0]
        for i in range(1, size):
            a += y[i]
            y[i] = a
    elif order == 2:
        a, d = y[1], y[1] - y[0]
        for i in range(2, size):
            d += y[i]
            a += d
            y[i] = a
    elif order == 3:
        a, d = y[2], y[2] - y[1]
        e = d - (y[1] - y[0])
        for i in range(3, size):
            e += y[i]
            d += e
            a += d
            y[i] = a
    elif order == 4:
        a, d = y[3], y[3] - y[2]
        e = d - (y[2] - y[1])
        f = e - ((y[2] - y[1]) - (y[1] - y[0]))
        for i in range(4, size):
            f += y[i]
            e += f
            d += e
            a += d
            y[i] = a


@kernel
def undo_linear(y, c, order, shift, first, last):
    """Residual y[first:last] to samples for linear prediction, in place; c[0] weighs the last sample."""
    for i in range(first, last):
        total = np.int64(0)
        for k in range(order):
            total += c[k] * y[i - 1 - k]
        y[i] += total >> shift


@kernel
def _residual(base, place, end, out, order, size, c, shift):
    """The coded residual of a subframe into out[order:size]; the bit place behind it, -1 where it is broken.

    With a shift of 0 or more, linear prediction of at most order 8 by ``c`` is undone on the way: samples come.
    """
    method, depth = unsigned(base, place, 2), unsigned(base, place + 2, 4)
    place += 6
    if method > 1 or (size & ((1 << depth) - 1)) != 0 or (size >> depth) < order:
        return -1
    width = 4 + method
    escape, first, far = (1 << width) - 1, order, np.empty((FAR + 1, LANES), np.int64)
    far_weights(c, far)
    for part in range(1 << depth):
        last = (part + 1) * (size >> depth)
        low = unsigned(base, place, width)
        place += width
        begun = min(last, max(first, 8)) if shift >= 0 and low != escape else last  # prediction on the way needs eight samples
        if low == escape:
            width_plain = unsigned(base, place, 5)
            place += 5
            if place + width_plain * (last - first) > end:
                return -1
            for i in range(first, last):
                out[i] = signed(base, place, width_plain)
                place += width_plain
        else:
            place = codes(base, place, end, low, out, first, begun)
        if place >= 0 and shift >= 0:
            undo_linear(out, c, order, shift, first, begun)
            if begun < last:
                place = predicted(base, place, end, low, out, begun, last, c, far, shift)
        if place < 0 or place > end:
            return -1
        first = last
    return place


@kernel
def _subframe(base, place, end, bits, y, c, size):
    """One channel of a frame into y[:size]; the bit place behind it, -1 where it is broken."""
    kind, wasted = unsigned(base, place + 1, 6), np.int64(0)
    bad = unsigned(base, place, 1) != 0
    place += 8
    if unsigned(base, place - 1, 1):
        wasted = zeros(base, place, end) + 1
        place += wasted
    bits -= wasted
    if bad or bits < 1 or place > end:
        return -1
    if kind == 0:
        y[:size] = signed(base, place, bits)
        place += bits
    elif kind == 1:
        if place + bits * size > end:
            return -1
        for i in range(size):
            y[i] = signed(base, place, bits)
            place += bits
    else:
        fixed = kind < 32
        order = kind - 8 if fixed else kind - 31
        if order < 0 or (fixed and order > 4) or order > size or place + order * bits > end:
            return -1
        for i in range(order):
            y[i] = signed(base, place, bits)
            place += bits
        if fixed:
            place = _residual(base, place, end, y, order, size, c, -1)
            if place >= 0:
                undo_fixed(y, order, size)
        else:
            precision, shift = unsigned(base, place, 4) + 1, signed(base, place + 4, 5)
            place += 9
            if precision == 16 or shift < 0 or place + order * precision > end:
                return -1
            c[order:] = 0
            for i in range(order):
                c[i] = signed(base, place, precision)
                place += precision
            place = _residual(base, place, end, y, order, size, c, shift if order <= 8 else -1)
            if place >= 0 and order > 8:
                undo_linear(y, c, order, shift, order, size)
    if wasted and place >= 0:
        for i in range(size):
            y[i] <<= wasted
    return place if place <= end else -1


@kernel
def _header(data, base, place, end, crc8):
    """Frame header at a byte -> (samples, channel code, sample size code, bit place behind it); samples -1 where it is none."""
    bad = (np.int64(-1), np.int64(0), np.int64(0), np.int64(0))
    first = place
    if unsigned(base, place * 8, 15) != 0x7FFC or place + 6 > end:
        return bad
    size_code, rate_code = np.int64(data[place + 2]) >> 4, np.int64(data[place + 2]) & 15
    channels, sample_code = np.int64(data[place + 3]) >> 4, (np.int64(data[place + 3]) >> 1) & 7
    place += 4
    lead = np.int64(data[place])
    place += 1
    if lead >= 0xC0:
        lead <<= 1
        while lead & 0x80:
            lead <<= 1
            place += 1
    size = np.int64(-1)
    if size_code == 1:
        size = np.int64(192)
    elif 2 <= size_code <= 5:
        size = np.int64(576) << (size_code - 2)
    elif size_code == 6:
        size = np.int64(data[place]) + 1
        place += 1
    elif size_code == 7:
        size = (np.int64(data[place]) << 8 | np.int64(data[place + 1])) + 1
        place += 2
    elif size_code >= 8:
        size = np.int64(256) << (size_code - 8)
    if rate_code == 12:
        place += 1
    elif rate_code >= 13:
        place += 2
    crc = np.uint8(0)
    for i in range(first, place):
        crc = crc8[crc ^ data[i]]
    if crc != data[place] or rate_code == 15 or size > _MAX_BLOCK:
        return bad
    return size, channels, sample_code, (place + 1) * 8


@kernel
def decode_frames(data, first, last, skip, bits, crc8, crc16, work, out, reached):
    """Frames in the bytes data[first:last], their first ``skip`` samples left out, to float32 (channels, samples), full scale 1.

    data is followed by PADDING zero bytes. work is int64 (channels, 65536). Answers the samples that were written; -1 where
    anything is not as the format says, checksums too. reached becomes the byte where the frame begins in which reading goes on,
    and how many samples lie between the first frame's begin and there.
    """
    channels, wanted = out.shape
    base, end, place, done = np.int64(data.ctypes.data), last * 8, first, np.int64(0)
    c, scale = np.zeros(32, np.int64), np.float32(2.0 ** -(bits - 1))
    code_of_bits, passed = 4 if bits == 16 else 6, np.int64(0)
    reached[0], reached[1] = first, 0
    while done < wanted:
        start = place
        size, layout, sample_code, at = _header(data, base, place, last, crc8)
        if size < 1 or (sample_code not in (0, code_of_bits)):
            return -1
        stereo = layout >= 8
        if layout > 10 or (channels != 2 if stereo else channels != layout + 1):
            return -1
        for channel in range(channels):
            side = (layout == 8 and channel == 1) or (layout == 9 and channel == 0) or (layout == 10 and channel == 1)
            at = _subframe(base, at, end, bits + (1 if side else 0), work[channel], c, size)
            if at < 0:
                return -1
        place = (at + 7) >> 3
        if place + 2 > last or checksum(data, start, place, crc16) != np.int64(data[place]) << 8 | np.int64(data[place + 1]):
            return -1
        place += 2
        if stereo:
            a, b = work[0], work[1]
            if layout == 8:
                for i in range(size):
                    b[i] = a[i] - b[i]
            elif layout == 9:
                for i in range(size):
                    a[i] += b[i]
            else:
                for i in range(size):
                    double = (a[i] << 1) | (b[i] & 1)
                    a[i], b[i] = (double + b[i]) >> 1, (double - b[i]) >> 1
        taken = max(np.int64(0), min(size - skip, wanted - done))
        for channel in range(channels):
            row, values = out[channel, done : done + taken], work[channel, skip : skip + taken]
            for i in range(len(row)):
                row[i] = np.float32(np.int32(values[i])) * scale
        done += taken
        passed += size
        if skip + taken >= size:
            reached[0], reached[1] = place, passed
        else:
            reached[0], reached[1] = start, passed - size
        skip = max(np.int64(0), skip - size)
    return done
