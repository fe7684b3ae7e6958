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

from stylefx.differentiable.operators.compiled.jit import BLOCK, TINY, recursion_part, sum_kernel, sum_part

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
                # Parts that begin where the block does: no index can be below 0, and LLVM makes vectors.
                x, y = audio[item, c, start : start + size], out[item, c, start : start + size]
                for i in range(size):
                    y[i] = x[i] * gain[i]
            smooth[0] = smooth[size]


@sum_kernel
def dynamics_adjoint_items(first, last, audio, law, sign, checkpoints, upstream, d_audio, d_law):
    """Gradients for items first..last: upstream, d_audio like audio; d_law float64 (items, 7), zeros."""
    channels, samples = audio.shape[1], audio.shape[2]
    for item in range(first, last):
        side, level, reduction, smooth = np.empty(BLOCK, audio.dtype), np.empty(BLOCK), np.empty(BLOCK), np.zeros(BLOCK + 1)
        gain, wanted, k, after = np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK)
        carried = 0.0  # (1 - k) times the adjoint of the sample after this block
        for block in range((samples + BLOCK - 1) // BLOCK - 1, -1, -1):
            start = block * BLOCK
            size = min(BLOCK, samples - start)
            smooth[0] = checkpoints[item, block]
            _block(audio[item], start, size, law[item], sign, side, level, reduction, smooth, gain)
            wanted[:size] = 0.0
            for c in range(channels):
                x, above = audio[item, c, start : start + size], upstream[item, c, start : start + size]
                d_x = d_audio[item, c, start : start + size]
                for i in range(size):
                    product = np.float64(above[i]) * gain[i]
                    d_x[i] = product
                    wanted[i] += product * x[i]
            total = 0.0
            for i in range(size):
                total += wanted[i]
            d_law[item, MAKEUP] += total / _DB_PER_NEPER
            carried = _smoother_adjoint(wanted, reduction, smooth, size, law[item], sign, carried, d_law[item], k, after)
            _curve_adjoint(wanted, level, size, law[item], sign, d_law[item])
            _side_adjoint(wanted, audio[item, :, start : start + size], side, size, d_audio[item, :, start : start + size])


@sum_part
def _block(audio, start, size, law, sign, side, level, reduction, smooth, gain):
    """One block: smooth[0] is the state before it, smooth[i + 1] the reduction at sample i."""
    x = audio[0, start : start + size]
    for i in range(size):
        side[i] = abs(x[i])
    for c in range(1, audio.shape[0]):
        other = audio[c, start : start + size]
        for i in range(size):
            side[i] = max(side[i], abs(other[i]))
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


@recursion_part
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


@sum_part
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


@sum_part
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


@sum_part
def _smoother_adjoint(wanted, reduction, smooth, size, law, sign, carried, d_law, k, after):
    """wanted: sum of upstream x out -> gradient of the reduction, in place. Returns what the block before carries on.
    ``k`` and ``after`` are for what is written down between: what waits for another sample stands in a loop of its own."""
    rise, fall, tied_rises = law[RISE], law[FALL], sign < 0.0
    for i in range(size):
        difference = reduction[i] - smooth[i]
        # A tie counts as release: falling for a compressor, rising for an expander. (Without "or": that would be a jump.)
        k[i] = rise if (difference > 0.0) | ((difference == 0.0) & tied_rises) else fall
        wanted[i] = -wanted[i] / _DB_PER_NEPER
    carried = _carry(wanted, k, after, size, carried)
    d_rise, d_fall = 0.0, 0.0
    for i in range(size):
        difference = reduction[i] - smooth[i]
        value = after[i] + wanted[i]
        product = value * difference
        of_rise = product if (difference > 0.0) | ((difference == 0.0) & tied_rises) else 0.0
        d_rise += of_rise
        d_fall += product - of_rise
        wanted[i] = k[i] * value
    d_law[RISE] += d_rise
    d_law[FALL] += d_fall
    return 0.0 if abs(carried) < TINY else carried


@recursion_part
def _carry(wanted, k, after, size, carried):
    """after[i]: what the sample after i hands to it, (1 - k) times the adjoint there. Returns what i = 0 hands on."""
    for i in range(size - 1, -1, -1):
        after[i] = carried
        keep = 1.0 - k[i]
        carried = keep * carried + keep * wanted[i]
    return carried


@sum_part
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


@sum_part
def _side_adjoint(wanted, audio, side, size, d_audio):
    """Hand the gradient of the level to the loudest channel; channels that tie share it."""
    channels = audio.shape[0]
    for i in range(size):
        # side may be 0, where the level rests on its floor: there the gradient is 0
        steepness = _DB_PER_NEPER / max(side[i], FLOOR)
        wanted[i] *= steepness if side[i] > FLOOR else 0.0
    if channels > 1:
        for i in range(size):
            ties = 0
            for c in range(channels):
                ties += 1 if abs(audio[c, i]) == side[i] else 0
            wanted[i] /= max(ties, 1)
    for c in range(channels):
        x, d_x = audio[c], d_audio[c]
        for i in range(size):
            loudest = 1.0 if abs(x[i]) == side[i] else 0.0
            d_x[i] += loudest * math.copysign(wanted[i], wanted[i] * x[i])
