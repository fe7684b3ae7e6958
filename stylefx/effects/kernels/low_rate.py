"""Bands whose cutoff lies above 0.9 Nyquist: below 0.45 of the rate they do what they do at 48 kHz, exactly but for a warp.

On the squared frequency axes x = tan^2(pi f / 48000) and y = tan^2(pi f / fs) a section's squared magnitude is a ratio of
quadratics in x. In place of x a rational function of y is put, x = y (a + b y) / (1 + c y + d y^2), equal to it at four
frequencies and within 0.4 % of the frequency everywhere below 0.45 fs. That gives quartics in y, so two sections per band,
whose roots are those of quadratics. The substitution maps real frequencies to real frequencies: so it is stable for every
setting, what is flat stays flat, what adds up to an all-pass still does. (Interpolation: T. N. Thiele, 1909, continued
fraction of inverse differences; minimum phase by the choice of roots.)
"""

from __future__ import annotations

import cmath
import math
from functools import lru_cache

REFERENCE_RATE = 48000.0  # Hz
_NODES = (0.15, 0.32, 0.42, 0.45)  # of the rate: where the frequencies agree
Polynomial = tuple[float, float, float]  # coefficients of 1, s, s^2


def compute_frequency_map(sample_rate: float) -> tuple[float, float, float, float]:
    """a, b, c, d of x = y (a + b y) / (1 + c y + d y^2) for a rate below 48 kHz."""
    y = [math.tan(math.pi * f) ** 2 for f in _NODES]
    ratio = [v / math.tan(math.pi * f * sample_rate / REFERENCE_RATE) ** 2 for f, v in zip(_NODES, y)]
    inverse = [ratio]  # inverse differences, row by row
    for row in range(1, 4):
        last = inverse[-1]
        inverse.append([(y[row + i] - y[row - 1]) / (last[i + 1] - last[0]) for i in range(4 - row)])
    # y / x = r1 + (y - y1) / (r2 + (y - y2) / (r3 + (y - y3) / r4))
    r1, r2, r3, r4 = (row[0] for row in inverse)
    shift = r3 * r4 - y[2]
    a, b = r2 * shift - r4 * y[1], r2 + r4
    constant = r1 * a - y[0] * shift
    return a / constant, b / constant, (r1 * b + shift - y[0]) / constant, 1.0 / constant


frequency_map = lru_cache(maxsize=64)(compute_frequency_map)


@lru_cache(maxsize=64)
def first_order_map(sample_rate: float) -> tuple[float, float]:
    """a, c of x = a y / (1 + c y), for sections of first order: within 6 % of the frequency, so 0.3 dB where they are gentle."""
    y, top_y = (math.tan(math.pi * f) ** 2 for f in (0.2, 0.45))
    x, top_x = (math.tan(math.pi * f * sample_rate / REFERENCE_RATE) ** 2 for f in (0.2, 0.45))
    c = (x / y - top_x / top_y) / (top_x - x)
    return x / y + c * x, c


def mapped_sections(kind: str, numerator: Polynomial, denominator: Polynomial, sample_rate: float) -> list[tuple[float, ...]]:
    """A prototype with its cutoff at 48 kHz multiplied in -> two warped sections (n0, n1, n2, d0, d1, d2) at the rate."""
    a, b, *_ = frequency_map(sample_rate)
    poles = _factors(denominator, sample_rate)
    if kind == "high_pass":
        gain, zeros = numerator[2] / denominator[0], [(0.0, 0.0, 1.0), (a, 0.0, -b)]
    elif kind == "all_pass":
        gain, zeros = 1.0, [(one, -first, second) for one, first, second in poles]
    else:
        gain, zeros = numerator[0] / denominator[0], _factors(numerator, sample_rate)
    c0, c1, c2 = zeros[0]
    zeros[0] = gain * c0, gain * c1, gain * c2
    return [(*z, *p) for z, p in zip(zeros, poles)]


def _factors(polynomial: Polynomial, sample_rate: float) -> list[Polynomial]:
    """c0 + c1 s + c2 s^2 with c0 > 0 -> two polynomials of the warped axis at the rate, each 1 at frequency 0.

    A root 1 / x of the squared magnitude becomes two roots Z = 1 / y of Z^2 + (c - a / x) Z + (d - b / x).
    """
    a, b, c, d = frequency_map(sample_rate)
    c0, c1, c2 = polynomial

    def roots(inverse: complex) -> tuple[complex, complex]:
        half = 0.5 * (a * inverse - c)
        root = cmath.sqrt(half * half - (d - b * inverse))
        return half + root, half - root

    if c1 == 0.0:  # a real number at every frequency, and it stays one: the phases of crossovers depend on it
        return [(1.0, 0.0, z.real) for z in roots(c2 / c0)]
    mean = (c2 - 0.5 * c1 * c1 / c0) / c0
    spread = 0.5 * c1 / c0 * cmath.sqrt(c1 * c1 - 4.0 * c0 * c2) / c0
    if spread.imag:
        return [(1.0, math.sqrt(2.0 * max(abs(z) - z.real, 0.0)), abs(z)) for z in roots(mean + spread)]
    pairs = zip(roots(mean + spread), roots(mean - spread))
    sizes = [(math.sqrt(max(-p.real, 0.0)), math.sqrt(max(-q.real, 0.0))) for p, q in pairs]
    return [(1.0, p + q, p * q) for p, q in sizes]
