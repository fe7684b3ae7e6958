"""Analog prototypes of second-order sections in torch, and what the two ways of filtering make of them.

Design as in ``stylefx.effects.biquad`` (R. Bristow-Johnson's cookbook, bilinear transform). A *warped section* is
(n0, n1, n2, d0, d1, d2), float64: H = (n2 s^2 + n1 s + n0) / (d2 s^2 + d1 s + d0) with the prewarped cutoff
K = tan(pi f0 / fs) already multiplied in, so that s = j tan(w / 2).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from stylefx.effects.biquad import CLAMP


def warped_sections(kind: str, gain_db: Tensor, cutoff_hz: Tensor, q: Tensor, sample_rate: float) -> Tensor:
    """Sections of one kind: three tensors of one shape (...) -> (..., 6). Cutoffs above 0.9 Nyquist are clamped there."""
    k = torch.tan(math.pi / sample_rate * cutoff_hz.clamp(max=CLAMP * 0.5 * sample_rate))
    a = torch.exp(gain_db * (math.log(10.0) / 40.0))
    root = torch.sqrt(a)
    one = torch.ones_like(a)
    zero = torch.zeros_like(a)
    plain = (one, 1.0 / q, one)
    prototypes = {
        "peak": ((one, a / q, one), (one, 1.0 / (a * q), one)),
        "low_shelf": ((a, a * root / q, a * a), (a, root / q, one)),
        "high_shelf": ((a * a, a * root / q, a), (one, root / q, a)),
        "high_pass": ((one, zero, zero), plain),
        "low_pass": ((zero, zero, one), plain),
        "notch": ((one, zero, one), plain),
        "all_pass": ((one, -1.0 / q, one), plain),
    }
    numerator, denominator = prototypes[kind]
    return torch.stack([c * p for row in (numerator, denominator) for c, p in zip(reversed(row), (k * k, k, one))], -1)


def digital_coefficients(sections: Tensor) -> Tensor:
    """Warped sections (..., 6) -> b0, b1, b2, a1, a2 (..., 5) by the bilinear transform."""
    n0, n1, n2, d0, d1, d2 = sections.unbind(-1)
    a0 = d0 + d1 + d2
    rows = (n0 + n1 + n2, 2.0 * (n0 - n2), n0 - n1 + n2, 2.0 * (d0 - d2), d0 - d1 + d2)
    return torch.stack(rows, -1) / a0[..., None]


def slowest_time_constant(sections: Tensor) -> Tensor:
    """-1 / ln of the largest pole radius, in samples, over all sections (..., 6); a tensor without dimensions."""
    d0, d1, d2 = sections[..., 3:].unbind(-1)
    a0 = d0 + d1 + d2
    discriminant = d1 * d1 - 4.0 * d0 * d2
    distance = (2.0 * torch.minimum(d0, d2) + 4.0 * d0 * d2 / (d1 + discriminant.clamp(min=0.0).sqrt())) / a0
    log_radius = torch.where(discriminant < 0.0, 0.5 * torch.log1p(-2.0 * d1 / a0), torch.log1p(-distance))
    return (-1.0 / log_radius).amax()
