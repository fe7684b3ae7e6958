"""Distance of two spectra and its gradient in one pass, compiled for the CPU.

Per bin, with p = max(|X|^2, eps): linear term |sqrt(p_x) - sqrt(p_y)|, logarithmic term |log p_x - log p_y| / 2. Both
rise and fall together, so one sign serves both gradients: d/dX = sign X / |X| (linear + logarithmic / |X|), 0 below eps.
"""

from __future__ import annotations

import math

import numpy as np

from stylefx.differentiable.operators.compiled.jit import sum_kernel, sum_part

EPSILON = 1e-8  # of the power
_LN2 = math.log(2.0)


@sum_kernel
def distance_frames(first, last, x, y, linear, logarithmic, gradients, sums):
    """Frames first..last of x, y (frames, 2 bins), float32 or float64, real and imaginary parts interleaved.

    sums float64 (frames,): linear x sum of linear terms + logarithmic x sum of logarithmic terms. gradients 1 replaces x
    by its gradient, 2 also y, 0 neither; the gradient is halved but in the first and the last bin, so that an unscaled
    inverse real FFT takes it to the gradient of the frame.
    """
    bins = x.shape[1] // 2
    power_x, power_y, logs = np.empty(bins, x.dtype), np.empty(bins, x.dtype), np.empty(bins, x.dtype)
    exponents = np.empty(bins, np.int32)
    for frame in range(first, last):
        for i in range(bins):
            real, imaginary = x[frame, 2 * i], x[frame, 2 * i + 1]
            power_x[i] = real * real + imaginary * imaginary
            real, imaginary = y[frame, 2 * i], y[frame, 2 * i + 1]
            power_y[i] = real * real + imaginary * imaginary
        log_ratios(power_x, power_y, logs, exponents)
        half = x.dtype.type(0.5)
        sums[frame] = terms(power_x, power_y, logs, linear, logarithmic, half if gradients > 0 else x.dtype.type(0.0))
        for side in range(gradients):
            spectrum, factor = (x[frame], power_x) if side == 0 else (y[frame], power_y)
            factor[0] *= x.dtype.type(2.0)
            factor[bins - 1] *= x.dtype.type(2.0)
            for i in range(bins):
                spectrum[2 * i] *= factor[i]
                spectrum[2 * i + 1] *= factor[i]


@sum_part
def terms(power_x, power_y, logs, linear, logarithmic, share):
    """Sum over bins (bins,) of their terms. Where ``share`` is not 0, power_x and power_y become that share of the factors that
    take X and Y to their gradients."""
    number = power_x.dtype.type
    epsilon, w, v = number(EPSILON), number(linear), number(logarithmic)
    total_linear, total_log = number(0.0), number(0.0)
    for i in range(len(power_x)):
        magnitude_x = math.sqrt(max(power_x[i], epsilon))
        magnitude_y = math.sqrt(max(power_y[i], epsilon))
        total_linear += abs(magnitude_x - magnitude_y)
        total_log += abs(logs[i])
        if share != 0:
            sign = number(magnitude_x > magnitude_y) - number(magnitude_x < magnitude_y)
            inverse_x, inverse_y = share * sign / magnitude_x, share * sign / magnitude_y
            power_x[i] = inverse_x * (w + v / magnitude_x) if power_x[i] >= epsilon else number(0.0)
            power_y[i] = -inverse_y * (w + v / magnitude_y) if power_y[i] >= epsilon else number(0.0)
    return linear * total_linear + logarithmic * 0.5 * total_log


@sum_part
def log_ratios(power_x, power_y, logs, exponents):
    """log max(power_x, eps) - log max(power_y, eps): float32 by a polynomial to 1e-7, float64 exactly."""
    epsilon = power_x.dtype.type(EPSILON)
    if power_x.itemsize == 8:
        for i in range(len(logs)):
            logs[i] = math.log(max(power_x[i], epsilon) / max(power_y[i], epsilon))
        return
    bits = logs.view(np.int32)
    for i in range(len(logs)):
        logs[i] = max(power_x[i], epsilon) / max(power_y[i], epsilon)
    for i in range(len(logs)):
        exponent = (bits[i] - np.int32(0x3F3504F3)) >> np.int32(23)  # mantissa between sqrt(1/2) and sqrt(2)
        exponents[i] = exponent
        bits[i] = bits[i] - (exponent << np.int32(23))
    one, two = np.float32(1.0), np.float32(2.0)
    for i in range(len(logs)):
        m = np.float32(logs[i])
        s = (m - one) / (m + one)
        z = s * s
        series = one + z * (np.float32(1 / 3) + z * (np.float32(1 / 5) + z * (np.float32(1 / 7) + z * np.float32(1 / 9))))
        logs[i] = np.float32(exponents[i]) * np.float32(_LN2) + two * s * series
