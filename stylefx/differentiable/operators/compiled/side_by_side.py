"""Distance of two signals at one resolution and its gradient, 16 frames side by side and without leaving the cache.

What ``spectral_distance`` asks of short frames: windowing, transforms, distance of the bins (as in ``spectra``), transform back,
window again and overlap, all of a few frames at a time, so that nothing as large as a spectrogram is ever written.

numba's cache knows a loop by the content of its own file, so this one states that of ``audio.fft.lanes`` and ``spectra``:
``6469677878d1``, a SHA-256. It changes with them.
"""

from __future__ import annotations

import numpy as np

from stylefx.audio.fft.butterflies import LANES
from stylefx.audio.fft.lanes import bins_of_samples, from_lanes, samples_of_bins, to_lanes
from stylefx.differentiable.operators.compiled.jit import sum_kernel, sum_part
from stylefx.differentiable.operators.compiled.spectra import log_ratios, terms

_BINS = 16  # looked at together


@sum_kernel
def distance_rows(first, last, x, y, window, plan, linear, logarithmic, sides, gradient_x, gradient_y, sums):
    """Rows first..last of x, y, float32 (rows, n), frames centred with a hop of half a window, reflected at the ends.

    sums float64 (rows,): linear x sum of |X - Y| + logarithmic x sum of |log X - log Y|, magnitudes. The gradients of the first
    ``sides`` of the two signals are added to float32 (rows, n). plan: of ``audio.fft.rows.plan_of`` the window's size.
    """
    size, n = len(window), x.shape[1]
    half = size // 2
    frames = n // half + 1
    groups = -(-frames // LANES)
    length = max(n + 2 * half, (LANES * groups + 1) * half)
    work = np.empty((2, 2, LANES * (size + 2)), np.float32)
    rows, back = np.empty((LANES, size), np.float32), np.empty((2, length), np.float32)
    padded, room = np.empty((2, length), np.float32), np.empty((3, _BINS * LANES), np.float32)
    exponents = np.empty(_BINS * LANES, np.int32)
    for row in range(first, last):
        _reflect(x[row], half, padded[0])
        _reflect(y[row], half, padded[1])
        back[:sides] = np.float32(0.0)
        total = 0.0
        for group in range(groups):
            found = 0
            for side in range(2):
                _windowed(padded[side], group * LANES * half, half, min(LANES, frames - group * LANES), window, work[side, 0])
                found = bins_of_samples(work[side], half, plan[0], plan[1], plan[2])
            one, other = work[0, found].reshape(half + 1, 2, LANES), work[1, found].reshape(half + 1, 2, LANES)
            total += _distance(one, other, linear, logarithmic, sides, np.float32(size), room, exponents)
            for side in range(sides):
                at = samples_of_bins(work[side], found, half, plan[0], plan[1], plan[3])
                from_lanes(work[side, at], 0, LANES, size, rows, 1)
                _overlap(rows, window, half, back[side, group * LANES * half :])
        sums[row] += total
        if sides > 0:
            _fold(back[0], half, gradient_x[row])
        if sides > 1:
            _fold(back[1], half, gradient_y[row])


@sum_part
def _reflect(signal, half, out):
    """The signal behind its own reflection, reflected at its end too, and silence."""
    n = len(signal)
    out[half : half + n] = signal
    for i in range(half):
        out[i] = signal[half - i]
        out[half + n + i] = signal[n - 2 - i]
    out[2 * half + n :] = np.float32(0.0)


@sum_part
def _windowed(padded, start, half, count, window, out):
    """LANES frames from ``start`` on, in lanes, silence behind the first ``count`` of them."""
    size = len(window)
    frames = np.lib.stride_tricks.as_strided(padded[start:], (LANES, size), (4 * half, 4))
    to_lanes(frames, 0, LANES, size, out)
    for j in range(size):
        some, weight = out[LANES * j : LANES * (j + 1)], window[j]
        for lane in range(LANES):
            some[lane] *= weight
    for j in range(size if count < LANES else 0):
        out[LANES * j + count : LANES * (j + 1)] = np.float32(0.0)


@sum_part
def _distance(x, y, linear, logarithmic, sides, size, room, exponents):
    """Sum over bins and lanes of x, y (bins, 2, LANES), real and imaginary parts; the first ``sides`` of them become what a
    transform back takes to the frames' gradient."""
    total, bins = 0.0, len(x)
    share = np.float32(0.5) * size if sides > 0 else np.float32(0.0)
    for start in range(0, bins, _BINS):
        one, other = x[start : start + _BINS], y[start : start + _BINS]
        count = len(one) * LANES
        power_x, power_y, logs = room[0, :count], room[1, :count], room[2, :count]
        _powers(one, power_x)
        _powers(other, power_y)
        log_ratios(power_x, power_y, logs, exponents)
        total += terms(power_x, power_y, logs, linear, logarithmic, share)
        if sides > 0:
            _scale(one, power_x)
        if sides > 1:
            _scale(other, power_y)
    for side in range(sides):  # all others stand for two bins, of which the transform back makes two again
        spectrum = x if side == 0 else y
        for lane in range(LANES):
            spectrum[0, 0, lane] *= np.float32(2.0)
            spectrum[bins - 1, 0, lane] *= np.float32(2.0)
    return total


@sum_part
def _powers(spectrum, power):
    for k in range(len(spectrum)):
        re, im, out = spectrum[k, 0], spectrum[k, 1], power[LANES * k : LANES * (k + 1)]
        for lane in range(LANES):
            out[lane] = re[lane] * re[lane] + im[lane] * im[lane]


@sum_part
def _scale(spectrum, factor):
    for k in range(len(spectrum)):
        re, im, by = spectrum[k, 0], spectrum[k, 1], factor[LANES * k : LANES * (k + 1)]
        for lane in range(LANES):
            re[lane] *= by[lane]
            im[lane] *= by[lane]


@sum_part
def _overlap(rows, window, half, out):
    """Add frames half a window apart, windowed."""
    for i in range(LANES):
        some, row = out[i * half : i * half + 2 * half], rows[i]
        for j in range(2 * half):
            some[j] += row[j] * window[j]


@sum_part
def _fold(padded, half, gradient):
    """The transpose of ``_reflect``, added."""
    n = len(gradient)
    for i in range(n):
        gradient[i] += padded[half + i]
    for i in range(half):
        gradient[half - i] += padded[i]
        gradient[n - 2 - i] += padded[half + n + i]
