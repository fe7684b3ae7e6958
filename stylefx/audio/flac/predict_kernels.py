"""What is left of samples when they are predicted from those before, compiled: fixed and linear prediction, pairs of channels.

In whole numbers, or in doubles that hold them exactly where it decides what is written: the same samples, the same bytes.
"""

from __future__ import annotations

import math

import numpy as np

from stylefx.audio.flac.words import LAGS, LANES, lagged_products, leading_zeros, multiply_add
from stylefx.effects.kernels.jit import kernel

ORDER = 8
PRECISION = 15  # bits of a coefficient
BEFORE = 16  # doubles before a block: more than the lags, and whole vectors


@kernel
def lowest_bit(union):
    """How many of the lowest bits are zero; 0 where all are."""
    unused = 0
    while union and not (union >> unused) & 1:
        unused += 1
    return unused


@kernel
def unused_bits(x, size):
    """How many of the lowest bits are zero in all of x[:size]; 0 where all are."""
    union = np.int32(0)
    for i in range(size):
        union |= x[i]
    return lowest_bit(union)


@kernel
def fixed_order(x, size):
    """The order of the fixed predictor with the smallest residual and the sum of its size."""
    s0 = s1 = s2 = s3 = s4 = np.int64(0)
    now, x1, x2, x3, x4 = x[4:size], x[3 : size - 1], x[2 : size - 2], x[1 : size - 3], x[: size - 4]
    for i in range(size - 4):
        a, p, q, r = now[i], np.int32(x1[i] - x2[i]), np.int32(x2[i] - x3[i]), np.int32(x3[i] - x4[i])
        b, t, u = np.int32(a - x1[i]), np.int32(p - q), np.int32(q - r)
        c = np.int32(b - p)
        d = np.int32(c - t)
        s0 += np.int32(abs(a))
        s1 += np.int32(abs(b))
        s2 += np.int32(abs(c))
        s3 += np.int32(abs(d))
        s4 += np.int32(abs(np.int32(d - np.int32(t - u))))
    order, least = 0, s0
    if s1 < least:
        order, least = 1, s1
    if s2 < least:
        order, least = 2, s2
    if s3 < least:
        order, least = 3, s3
    if s4 < least:
        order, least = 4, s4
    return order, least


@kernel
def cheapest(total, count, highest):
    """The Rice parameter for ``count`` folded residuals of this sum, and the bits that it makes, about."""
    low = leading_zeros(np.uint64(count)) - leading_zeros(np.uint64(total))  # of total / count the logarithm, or one more
    low = min(max(low - (1 if total < count << max(low, 0) else 0), 0), highest)
    return low, count * (low + 1) + (total >> low) - (count >> 1 if low else 0)


@kernel
def fixed_residual(x, order, size, out):
    out[:order] = 0
    here, now = out[order:size], x[order:size]
    x1, x2 = x[max(0, order - 1) : size], x[max(0, order - 2) : size]
    x3, x4 = x[max(0, order - 3) : size], x[max(0, order - 4) : size]
    if order == 0:
        here[:] = now
    elif order == 1:
        for i in range(len(here)):
            here[i] = np.int32(now[i] - x1[i])
    elif order == 2:
        for i in range(len(here)):
            here[i] = np.int32(np.int32(now[i] + x2[i]) - np.int32(2 * x1[i]))
    elif order == 3:
        for i in range(len(here)):
            here[i] = np.int32(np.int32(now[i] - x3[i]) - np.int32(3 * np.int32(x1[i] - x2[i])))
    else:
        for i in range(len(here)):
            odd, middle = np.int32(4 * np.int32(x1[i] + x3[i])), np.int32(6 * x2[i])
            here[i] = np.int32(np.int32(np.int32(now[i] + x4[i]) + middle) - odd)


@kernel
def _autocorrelation(x, size, bits, window, weighed, r):
    """Of the windowed samples, rounded to whole numbers. weighed: BEFORE doubles that are 0, then room for the block.

    Doubles add up exactly what is below 2 ** 53; the rest is added in integers. So the order is the machine's, the sum is not.
    """
    here = weighed[BEFORE : BEFORE + size]
    for i in range(size):
        here[i] = np.rint(x[i] * window[i])
    whole = (size + LANES - 1) // LANES * LANES
    weighed[BEFORE + size : BEFORE + whole] = 0.0
    exactly = LANES << min(2 * (27 - bits) + 1, 20)
    sums, totals = np.empty((LAGS, LANES)), np.zeros(LAGS, np.int64)
    for first in range(0, whole, exactly):
        lagged_products(weighed.ctypes.data + 8 * (BEFORE + first), min(exactly, whole - first), sums.ctypes.data)
        for lag in range(LAGS):
            for lane in range(LANES):
                totals[lag] += np.int64(sums[lag, lane])
    for lag in range(LAGS):
        r[lag] = float(totals[lag])


@kernel
def prediction(x, size, bits, window, weighed, coefficients):
    """Quantised coefficients of order 8 by Levinson and Durbin; (shift, residual's energy), shift -1 where there is none."""
    r, a, last = np.zeros(ORDER + 1), np.zeros(ORDER), np.zeros(ORDER)
    _autocorrelation(x, size, bits, window, weighed, r)
    if r[0] <= 0.0:
        return -1, 0.0
    error = r[0] * (1.0 + 1e-11)
    for n in range(ORDER):
        left = r[n + 1]
        for k in range(n):
            left -= last[k] * r[n - k]
        reflection = left / error
        for k in range(n):
            a[k] = last[k] - reflection * last[n - 1 - k]
        a[n] = reflection
        error *= 1.0 - reflection * reflection
        last[: n + 1] = a[: n + 1]
        if error <= 1e-15 * r[0]:  # predicted entirely: what follows would divide by nothing
            error = max(error, 0.0)
            break
    largest = 0.0
    for k in range(ORDER):
        largest = max(largest, abs(a[k]))
    limit, shift = 2 ** (PRECISION - 1) - 1, 15
    while shift > 0 and math.ldexp(largest, shift) > limit:
        shift -= 1
    # Rounded each for itself, coefficients of one size stay so and periodic signals cancel exactly; with the error handed on,
    # their sum stays, and with it what is left of low frequencies.
    carried = 0.0
    for k in range(ORDER):
        exact = math.ldexp(a[k], shift)
        coefficients[k] = min(max(np.floor(exact + 0.5), -limit - 1.0), float(limit))
        carried += exact
        last[k] = min(max(np.floor(carried + 0.5), -limit - 1.0), float(limit))
        carried -= last[k]
    left, other = _left(coefficients, shift, r), _left(last, shift, r)
    if other < left:
        coefficients[:], left = last, other
    return shift, left


@kernel
def _left(q, shift, r):
    """Energy of the residual that quantised coefficients leave of a signal with this autocorrelation."""
    scale, total = math.ldexp(1.0, -shift), r[0]
    for i in range(ORDER):
        inner = -2.0 * r[i + 1]
        for k in range(ORDER):
            inner += q[k] * scale * r[abs(i - k)]
        total += q[i] * scale * inner
    return max(total, 0.0)


@kernel
def linear_residual(x, q, shift, size, y, out):
    """Residual of linear prediction; False where it may not fit into what the format holds. Doubles hold all sums exactly."""
    scale = math.ldexp(1.0, -shift)
    q0, q1, q2, q3 = q[0] * scale, q[1] * scale, q[2] * scale, q[3] * scale
    q4, q5, q6, q7 = q[4] * scale, q[5] * scale, q[6] * scale, q[7] * scale
    for i in range(size):
        y[i] = x[i]
    out[:ORDER] = 0
    n, large = size - ORDER, np.int64(0)
    now, here, y1, y2, y3 = y[8:size], out[8:size], y[7 : size - 1], y[6 : size - 2], y[5 : size - 3]
    y4, y5, y6, y7, y8 = y[4 : size - 4], y[3 : size - 5], y[2 : size - 6], y[1 : size - 7], y[: size - 8]
    for i in range(n):
        near = multiply_add(q3, y4[i], multiply_add(q2, y3[i], multiply_add(q1, y2[i], q0 * y1[i])))
        far = multiply_add(q7, y8[i], multiply_add(q6, y7[i], multiply_add(q5, y6[i], q4 * y5[i])))
        value = now[i] - np.floor(near + far)
        large += abs(value) > 2.0**30
        here[i] = np.int32(value)
    return large == 0


@kernel
def layout_of(x, size, bits, work):
    """Which pair is smallest: 1 left and right, 8 left and side, 9 side and right, 10 mid and side; x (2, n) becomes the pair.

    Each counts without the low bits that it never uses, and for no more than it takes unpredicted, the side with its further
    bit: noise stays left and right.
    """
    left, right, mid, side = x[0], x[1], work[0], work[1]
    for i in range(size):
        mid[i] = (left[i] + right[i]) >> 1
        side[i] = left[i] - right[i]
    if size <= 16:
        return 1
    least = np.zeros(4, np.int64)
    for i in range(4):
        one = x[i] if i < 2 else work[i - 2]
        wasted = unused_bits(one, size)
        total = fixed_order(one, size)[1] >> wasted
        least[i] = min(cheapest(2 * total, size, 30)[1], size * ((bits + 1 if i == 3 else bits) - wasted))
    a, b, m, s = least[0], least[1], least[2], least[3]
    layout, best = 1, a + b
    if a + s < best:
        layout, best = 8, a + s
    if s + b < best:
        layout, best = 9, s + b
    if m + s < best:
        layout, best = 10, m + s
    if layout == 8 or layout == 10:
        right[:size] = side[:size]
    if layout == 10:
        left[:size] = mid[:size]
    if layout == 9:
        left[:size] = side[:size]
    return layout
