"""Feed-forward dynamics and their adjoint, compiled for the CPU: side chain, static curve, branching smoother, gain.

Per item of a batch: m = max over channels of |x|; level L = 20 log10 max(m, floor); d = sign (L - threshold);
reduction r = min(slope knee(d), limit) with the quadratic soft knee of width W (0 below -W/2, (d + W/2)^2 / (2 W)
inside, d above); y[n] = y[n-1] + k (r - y[n-1]) with k = rise where r > y[n-1] and fall where r < y[n-1];
out = x 10^((makeup - y) / 20). sign +1 is a compressor, -1 an expander.

float32 audio takes polynomials for logarithm and exponential (relative error below 1e-8, vector code), float64 audio
the mathematics library. A block is computed again in the backward sweep from the smoother's state at its start.
"""

from __future__ import annotations

import math

import numpy as np

from stylefx.differentiable.operators.compiled.jit import BLOCK, TINY, recursion_kernel, sum_kernel

FLOOR = 10.0 ** (-96.0 / 20.0)  # the level never falls below -96 dB
THRESHOLD, SLOPE, KNEE, LIMIT, RISE, FALL, MAKEUP = range(7)  # columns of ``law``, float64 (items, 7)

_DB_PER_NEPER = 20.0 / math.log(10.0)
_LN2 = math.log(2.0)
_OCTAVES_PER_DB = math.log2(10.0) / 20.0


@sum_kernel
def dynamics_items(first, last, audio, law, sign, out, checkpoints):
    """Items first..last of audio (items, channels, n) -> out; checkpoints float64 (items, blocks) take the states."""
    samples = audio.shape[2]
    for item in range(first, last):
        side, level, reduction, smooth = np.empty(BLOCK, audio.dtype), np.empty(BLOCK), np.empty(BLOCK), np.zeros(BLOCK + 1)
        gain = np.empty(BLOCK)
        for block in range((samples + BLOCK - 1) // BLOCK):
            start = block * BLOCK
            size = min(BLOCK, samples - start)
            checkpoints[item, block] = smooth[0]
            _block(audio[item], start, size, law[item], sign, side, level, reduction, smooth, gain)
            for c in range(audio.shape[1]):
                for i in range(size):
                    out[item, c, start + i] = audio[item, c, start + i] * gain[i]
            smooth[0] = smooth[size]


@sum_kernel
def dynamics_adjoint_items(first, last, audio, law, sign, checkpoints, upstream, d_audio, d_law):
    """Gradients for items first..last: upstream, d_audio like audio; d_law float64 (items, 7), zeros."""
    channels, samples = audio.shape[1], audio.shape[2]
    for item in range(first, last):
        side, level, reduction, smooth = np.empty(BLOCK, audio.dtype), np.empty(BLOCK), np.empty(BLOCK), np.zeros(BLOCK + 1)
        gain, wanted = np.empty(BLOCK), np.empty(BLOCK)
        carried = 0.0  # (1 - k) times the adjoint of the sample after this block
        for block in range((samples + BLOCK - 1) // BLOCK - 1, -1, -1):
            start = block * BLOCK
            size = min(BLOCK, samples - start)
            smooth[0] = checkpoints[item, block]
            _block(audio[item], start, size, law[item], sign, side, level, reduction, smooth, gain)
            wanted[:size] = 0.0
            for c in range(channels):
                for i in range(size):
                    product = np.float64(upstream[item, c, start + i]) * gain[i]
                    d_audio[item, c, start + i] = product
                    wanted[i] += product * audio[item, c, start + i]
            total = 0.0
            for i in range(size):
                total += wanted[i]
            d_law[item, MAKEUP] += total / _DB_PER_NEPER
            carried = _smoother_adjoint(wanted, reduction, smooth, size, law[item], sign, carried, d_law[item])
            _curve_adjoint(wanted, level, size, law[item], sign, d_law[item])
            _side_adjoint(wanted, audio[item], side, start, size, d_audio[item])


@recursion_kernel
def smooth_items(first, last, reduction, rise, fall, out):
    """The smoother alone, rows first..last of reduction and out float64 (items, n); rise and fall (items,)."""
    for item in range(first, last):
        y = 0.0
        for i in range(reduction.shape[1]):
            r = reduction[item, i]
            y += (rise[item] if r > y else fall[item]) * (r - y)
            y = y if abs(y) > TINY else 0.0
            out[item, i] = y


@recursion_kernel
def smooth_adjoint_items(first, last, sign, reduction, rise, fall, smooth, upstream, d_reduction, d_rise, d_fall):
    """Gradients of ``smooth_items``: upstream and d_reduction float64 (items, n), d_rise and d_fall (items,)."""
    for item in range(first, last):
        carried = 0.0
        for i in range(reduction.shape[1] - 1, -1, -1):
            difference = reduction[item, i] - (smooth[item, i - 1] if i > 0 else 0.0)
            rising = difference > 0.0 or (difference == 0.0 and sign < 0.0)
            value = carried + upstream[item, i]
            k = rise[item] if rising else fall[item]
            if rising:
                d_rise[item] += value * difference
            else:
                d_fall[item] += value * difference
            d_reduction[item, i] = k * value
            carried = (1.0 - k) * value
            carried = carried if abs(carried) > TINY else 0.0


@sum_kernel
def _block(audio, start, size, law, sign, side, level, reduction, smooth, gain):
    """One block: smooth[0] is the state before it, smooth[i + 1] the reduction at sample i."""
    for i in range(size):
        side[i] = abs(audio[0, start + i])
    for c in range(1, audio.shape[0]):
        for i in range(size):
            side[i] = max(side[i], abs(audio[c, start + i]))
    _levels(side, size, level)
    threshold, slope, limit = law[THRESHOLD], law[SLOPE], law[LIMIT]
    half = 0.5 * law[KNEE]
    scale = 0.25 / half if half > 0.0 else 0.0
    for i in range(size):
        over = sign * (level[i] - threshold)
        inside = min(max(over + half, 0.0), 2.0 * half)
        # Inside the knee a parabola, above it the line: the parabola's last value plus what lies above.
        reduction[i] = min(slope * (scale * inside * inside + max(over - half, 0.0)), limit)
    _smooth(reduction, smooth, size, law[RISE], law[FALL])
    _gains(smooth, size, law[MAKEUP], gain, side.itemsize == 8)


@recursion_kernel
def _smooth(reduction, smooth, size, rise, fall):
    """y = the larger of the two lines where rising is faster, else the smaller: no branch to mispredict."""
    y = smooth[0]
    keep_rise, keep_fall = 1.0 - rise, 1.0 - fall
    if rise >= fall:
        for i in range(size):
            r = reduction[i]
            y = max(keep_rise * y + rise * r, keep_fall * y + fall * r)
            smooth[i + 1] = y
    else:
        for i in range(size):
            r = reduction[i]
            y = min(keep_rise * y + rise * r, keep_fall * y + fall * r)
            smooth[i + 1] = y
    if abs(y) < TINY:
        smooth[size] = 0.0


@sum_kernel
def _levels(side, size, level):
    """level = 20 log10 max(side, FLOOR)."""
    if side.itemsize == 8:
        for i in range(size):
            level[i] = _DB_PER_NEPER * math.log(max(side[i], FLOOR))
        return
    low = np.float32(FLOOR)
    split = np.empty(BLOCK, np.float32)
    split_bits = split.view(np.int32)
    exponents = np.empty(BLOCK, np.int32)
    for i in range(size):
        split[i] = max(np.float32(side[i]), low)
    for i in range(size):
        exponent = (split_bits[i] - np.int32(0x3F3504F3)) >> np.int32(23)  # mantissa between sqrt(1/2) and sqrt(2)
        exponents[i] = exponent
        split_bits[i] = split_bits[i] - (exponent << np.int32(23))
    for i in range(size):
        m = np.float64(split[i])
        s = (m - 1.0) / (m + 1.0)
        z = s * s
        series = 1.0 + z * (1.0 / 3.0 + z * (1.0 / 5.0 + z * (1.0 / 7.0 + z * (1.0 / 9.0 + z * (1.0 / 11.0)))))
        level[i] = _DB_PER_NEPER * (exponents[i] * _LN2 + 2.0 * s * series)


@sum_kernel
def _gains(smooth, size, makeup, gain, exact):
    """gain = 10^((makeup - smooth[i + 1]) / 20), unless ``exact`` to 5e-9: the output of float32 audio needs no more."""
    if exact:
        for i in range(size):
            gain[i] = math.exp((makeup - smooth[i + 1]) / _DB_PER_NEPER)
        return
    octaves = np.empty(BLOCK, np.float32)
    exponents = octaves.view(np.int32)
    for i in range(size):
        value = _OCTAVES_PER_DB * (makeup - smooth[i + 1])
        whole = np.floor(min(max(value, -126.0), 126.0) + 0.5)
        exponents[i] = (np.int32(whole) + np.int32(127)) << np.int32(23)
        gain[i] = _LN2 * (value - whole)
    for i in range(size):
        f = gain[i]
        series = 1.0 + f * (1.0 / 2 + f * (1.0 / 6 + f * (1.0 / 24 + f * (1.0 / 120 + f * (1.0 / 720 + f * (1.0 / 5040))))))
        gain[i] = (1.0 + f * series) * octaves[i]


@recursion_kernel
def _smoother_adjoint(wanted, reduction, smooth, size, law, sign, carried, d_law):
    """wanted: sum of upstream x out -> gradient of the reduction, in place. Returns what the block before carries on."""
    rise, fall = law[RISE], law[FALL]
    d_rise, d_fall = 0.0, 0.0
    for i in range(size - 1, -1, -1):
        difference = reduction[i] - smooth[i]
        # A tie counts as release: falling for a compressor, rising for an expander.
        rising = difference > 0.0 or (difference == 0.0 and sign < 0.0)
        value = carried - wanted[i] / _DB_PER_NEPER
        k = rise if rising else fall
        product = value * difference
        d_rise += product if rising else 0.0
        d_fall += 0.0 if rising else product
        wanted[i] = k * value
        carried = (1.0 - k) * value
    d_law[RISE] += d_rise
    d_law[FALL] += d_fall
    return 0.0 if abs(carried) < TINY else carried


@sum_kernel
def _curve_adjoint(wanted, level, size, law, sign, d_law):
    """wanted: gradient of the reduction -> of the level, in place; adds those of the curve's parameters."""
    threshold, slope, knee, limit = law[THRESHOLD], law[SLOPE], law[KNEE], law[LIMIT]
    half = 0.5 * knee
    inverse = 1.0 / knee if knee > 0.0 else 0.0
    d_level, d_slope, d_knee, d_limit = 0.0, 0.0, 0.0, 0.0
    for i in range(size):
        over = sign * (level[i] - threshold)
        inside = min(max(over + half, 0.0), knee)
        height = 0.5 * inverse * inside * inside + max(over - half, 0.0)
        capped = slope * height >= limit
        free = 0.0 if capped else wanted[i]
        d_limit += wanted[i] - free
        d_slope += height * free
        steepness = inside * inverse if knee > 0.0 else (1.0 if over > 0.0 else 0.0)
        d_knee += free * 0.5 * (inside * inverse) * (1.0 - inside * inverse)
        wanted[i] = sign * slope * steepness * free
        d_level += wanted[i]
    d_law[THRESHOLD] -= d_level
    d_law[SLOPE] += d_slope
    d_law[KNEE] += slope * d_knee
    d_law[LIMIT] += d_limit


@sum_kernel
def _side_adjoint(wanted, audio, side, start, size, d_audio):
    """Hand the gradient of the level to the loudest channel; channels that tie share it."""
    channels = audio.shape[0]
    for i in range(size):
        # side may be 0, where the level rests on its floor: there the gradient is 0
        wanted[i] = _DB_PER_NEPER * wanted[i] / max(side[i], FLOOR) if side[i] > FLOOR else 0.0
    if channels > 1:
        for i in range(size):
            ties = 0
            for c in range(channels):
                ties += 1 if abs(audio[c, start + i]) == side[i] else 0
            wanted[i] /= max(ties, 1)
    for c in range(channels):
        for i in range(size):
            x = audio[c, start + i]
            sign = 1.0 if x == side[i] else (-1.0 if x == -side[i] else 0.0)  # of the loudest channel, else 0
            d_audio[c, start + i] += sign * wanted[i]
