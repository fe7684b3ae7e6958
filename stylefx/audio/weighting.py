"""The K-weighting of BS.1770: its two filters at any rate, and the energy of what they leave, compiled."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from stylefx.effects.kernels.cascade import step_form
from stylefx.effects.kernels.jit import fma, kernel
from stylefx.effects.kernels.lanes import weigh_two

_BLOCK = 256


@lru_cache(maxsize=64)
def k_weighting(sample_rate: float) -> np.ndarray:
    """b0 b1 b2 a1 a2 of the two sections of the K-weighting at a rate, float64 (10,): shelf, then high pass.

    The bilinear transform of the analog filters whose 48 kHz form is the table of BS.1770-4 annex 1 (B. De Man, "Evaluation
    of implementations of the EBU R128 loudness measurement", AES 145, 2018), the cutoff prewarped.
    """
    k = math.tan(math.pi * 1681.974450955533 / sample_rate)
    q, high = 0.7071752369554196, 10.0 ** (3.999843853973347 / 20.0)
    band = high**0.4996667741545416
    a0 = 1.0 + k / q + k * k
    shelf = [high + band * k / q + k * k, 2.0 * (k * k - high), high - band * k / q + k * k]
    shelf += [2.0 * (k * k - 1.0), 1.0 - k / q + k * k]

    k, q = math.tan(math.pi * 38.13547087602444 / sample_rate), 0.5003270373238773
    c0 = 1.0 + k / q + k * k
    high_pass = [1.0, -2.0, 1.0, 2.0 * (k * k - 1.0) / c0, (1.0 - k / q + k * k) / c0]  # the table's numerator, not scaled
    return np.array([value / a0 for value in shelf] + high_pass)


@lru_cache(maxsize=64)
def weighting_steps(sample_rate: float) -> np.ndarray:
    """The same sections in the form of ``cascade.step_form``, float64 (10,)."""
    b0, b1, b2, a1, a2, d0, d1, d2, e1, e2 = k_weighting(sample_rate).tolist()
    return step_form(np.array([[b0, b1, b2, 1.0, a1, a2], [d0, d1, d2, 1.0, e1, e2]])).ravel()


@kernel
def weighted_energies(samples, c, state, cuts, energies):
    """Filter one channel and sum squares between the cuts; c from ``weighting_steps``, state (4,) carried over."""
    p, q, r, s = state[0], state[1], state[2], state[3]
    b0, b1, b2, b3, b4 = c[0], c[1], c[2], c[3], c[4]
    d0, d1, d2, d3, d4 = c[5], c[6], c[7], c[8], c[9]
    for i in range(len(cuts) - 1):
        total = 0.0
        interval = samples[cuts[i] : cuts[i + 1]]
        for n in range(len(interval)):
            x = np.float64(interval[n])
            y = fma(b0, x, p)
            p, q = fma(b3, p, fma(b1, x, q)), fma(b4, p, b2 * x)
            z = fma(d0, y, r)
            r, s = fma(d3, r, fma(d1, y, s)), fma(d4, r, d2 * y)
            total = fma(z, z, total)
        energies[i] = total
    state[0], state[1], state[2], state[3] = p, q, r, s


@kernel
def energies_of_two(one, other, c, state_one, state_other, cuts, energies_one, energies_other):
    """``weighted_energies`` of two signals side by side, the same bits."""
    buffer, fixed, held = np.empty((_BLOCK, 2)), np.empty((10, 2)), np.empty((5, 2))
    for k in range(10):
        fixed[k, 0], fixed[k, 1] = c[k], c[k]
    for k in range(4):
        held[k, 0], held[k, 1] = state_one[k], state_other[k]
    samples, constants, states = np.int64(buffer.ctypes.data), np.int64(fixed.ctypes.data), np.int64(held.ctypes.data)
    for i in range(len(cuts) - 1):
        held[4, 0], held[4, 1] = 0.0, 0.0
        for start in range(cuts[i], cuts[i + 1], _BLOCK):
            end = min(start + _BLOCK, cuts[i + 1])
            part, other_part = one[start:end], other[start:end]
            for n in range(len(part)):
                buffer[n, 0], buffer[n, 1] = part[n], other_part[n]
            weigh_two(samples, np.int64(end - start), constants, states)
        energies_one[i], energies_other[i] = held[4, 0], held[4, 1]
    for k in range(4):
        state_one[k], state_other[k] = held[k, 0], held[k, 1]
    fixed[0, 0] = 0.0  # it must last until here
