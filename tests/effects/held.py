"""What a band that a low rate cannot hold should be, in another way than the effects': polynomials of numpy, their roots found
numerically, scipy's bilinear transform. Only the substitution x -> y (a + b y) / (1 + c y + d y^2) is shared."""

from __future__ import annotations

import numpy as np
import scipy.signal

NODES = np.array([0.15, 0.32, 0.42, 0.45])


def is_held(cutoff_hz: float, rate: float) -> bool:
    return rate < 48000 and cutoff_hz > 0.45 * rate


def _axes(nodes: np.ndarray, rate: float) -> tuple[np.ndarray, np.ndarray]:
    return np.tan(np.pi * nodes) ** 2, np.tan(np.pi * nodes * rate / 48000) ** 2


def held_sos(section: np.ndarray, rate: float) -> np.ndarray:
    """The cookbook's section at 48 kHz (b0, b1, b2, a0, a1, a2) -> second-order sections at the rate, minimum phase; a
    numerator without a middle term stays real."""
    y, x = _axes(NODES, rate)
    a, b, c, d = np.linalg.solve(np.stack([y, y**2, -x * y, -x * y**2], 1), x)
    over, under = np.poly1d([b, a, 0]), np.poly1d([d, c, 1])
    sides = []
    for b0, b1, b2 in (section[:3].tolist(), section[3:].tolist()):  # plain numbers: numpy's would unmake a poly1d
        n0, n1, n2 = b0 + b1 + b2, 2 * (b0 - b2), b0 - b1 + b2
        if abs(n1) < 1e-9 * abs(b0):
            even = n0 * under - n2 * over
            roots = np.sqrt(-even.roots.astype(complex))
            sides.append((np.concatenate([roots, -roots]), even.coeffs[0]))
        else:
            squared = n2**2 * over * over + (n1**2 - 2 * n0 * n2) * over * under + n0**2 * under * under
            roots = -np.sqrt(-squared.roots.astype(complex))
            sides.append((roots, (n0 / np.prod(-roots)).real))
    (zeros, top), (poles, bottom) = sides
    return scipy.signal.zpk2sos(*scipy.signal.bilinear_zpk(zeros, poles, top / bottom, 0.5))


def held_shelf(low: float, root: float, warped: float, rate: float) -> tuple[np.ndarray, np.ndarray]:
    """low (1 + root s) / (1 + s / root) with s = 1 at ``warped`` = tan(pi f / 48000), by x -> a y / (1 + c y)."""
    y, x = _axes(np.array([0.2, 0.45]), rate)
    a, c = np.linalg.solve(np.stack([y, -x * y], 1), x)
    zero, pole = (np.sqrt(c + a * (factor / warped) ** 2) for factor in (root, 1 / root))
    return scipy.signal.bilinear([low * zero, low], [pole, 1], fs=0.5)
