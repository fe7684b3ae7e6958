"""Analog prototypes of second-order sections in torch, and what the two ways of filtering make of them.

Design as in ``stylefx.effects.kernels.biquad`` (R. Bristow-Johnson's cookbook, bilinear transform). A *warped section* is
(n0, n1, n2, d0, d1, d2), float64: H = (n2 s^2 + n1 s + n0) / (d2 s^2 + d1 s + d0) with the prewarped cutoff
K = tan(pi f0 / fs) already multiplied in, so that s = j tan(w / 2).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from stylefx.effects.kernels.biquad import CLAMP
from stylefx.effects.kernels.low_rate import REFERENCE_RATE, compute_frequency_map

_IDENTITY = (1.0, 2.0, 1.0)  # over itself; as a digital section 1 exactly
_CRITICAL = 1e-10  # of the squared damping: the least distance of two roots, where their derivative would be infinite


def sections_of_band(
    kind: str, gain_db: Tensor, cutoff_hz: Tensor, q: Tensor, sample_rate: float, highest_hz: float = math.inf
) -> list[Tensor]:
    """Bands of one kind: three tensors of one shape (...) -> one warped section each, (..., 6), or two where a cutoff may lie
    above 0.9 Nyquist of a rate below 48 kHz: then the band does what it does at 48 kHz
    (``stylefx.effects.kernels.low_rate``). ``highest_hz`` promises that no cutoff is higher."""
    if not may_be_beyond(cutoff_hz, sample_rate, highest_hz):
        return [warped_sections(kind, gain_db, cutoff_hz, q, sample_rate)]
    limit = CLAMP * 0.5 * sample_rate
    plain = warped_sections(kind, gain_db, cutoff_hz, q, sample_rate)
    one = torch.ones_like(plain[..., 0])  # filled there: a copy from the host would make it wait for the device
    identity = torch.stack([c * one for c in 2 * _IDENTITY], -1)
    held = cutoff_hz.clamp(limit, CLAMP * 0.5 * REFERENCE_RATE)
    polynomials = warped_sections(kind, gain_db, held, q, REFERENCE_RATE)
    beyond = (cutoff_hz > limit)[..., None]
    return [torch.where(beyond, m, p) for m, p in zip(_mapped(kind, polynomials, sample_rate), (plain, identity))]


def may_be_beyond(cutoff_hz: Tensor, sample_rate: float, highest_hz: float = math.inf) -> bool:
    """Whether a cutoff may lie above 0.9 Nyquist of a rate below 48 kHz; on devices and to tracers the promise alone counts."""
    limit = CLAMP * 0.5 * sample_rate
    if sample_rate >= REFERENCE_RATE or highest_hz <= limit:
        return False
    if cutoff_hz.device.type == "cpu" and not torch.compiler.is_compiling():
        return bool((cutoff_hz.detach() > limit).any())
    return True


def _mapped(kind: str, polynomials: Tensor, sample_rate: float) -> list[Tensor]:
    """Warped sections (..., 6) at 48 kHz -> two at the rate."""
    n0, n1, n2, d0, d1, d2 = polynomials.unbind(-1)
    a, b, c, d = compute_frequency_map(sample_rate)  # no cache: a compiler cannot trace one
    one, zero = torch.ones_like(d0), torch.zeros_like(d0)
    poles = _factors(d0, d1, d2, sample_rate)
    gain = n0 / d0
    if kind == "high_pass":
        gain, zeros = n2 / d0, [(zero, zero, one), (a * one, zero, -b * one)]
    elif kind == "all_pass":
        gain, zeros = one, [(one, -first, second) for _, first, second in poles]
    elif kind in ("low_pass", "notch"):
        half = 0.5 * (a * n2 / n0 - c)
        root = (half * half - (d - b * n2 / n0)).sqrt()
        zeros = [(one, zero, half + root), (one, zero, half - root)]
    else:
        zeros = _factors(n0, n1, n2, sample_rate)
    c0, c1, c2 = zeros[0]
    zeros[0] = gain * c0, gain * c1, gain * c2
    return [torch.stack([*z, *p], -1) for z, p in zip(zeros, poles)]


def _factors(c0: Tensor, c1: Tensor, c2: Tensor, sample_rate: float) -> list[tuple[Tensor, Tensor, Tensor]]:
    """As ``kernels.low_rate`` factors a polynomial, with complex roots in real numbers: a conjugate pair, or two real ones."""
    a, b, c, d = compute_frequency_map(sample_rate)  # no cache: a compiler cannot trace one
    mean = (c2 - 0.5 * c1 * c1 / c0) / c0
    spread = 1.0 - 4.0 * c0 * c2 / (c1 * c1)
    spread = spread + (torch.where(spread < 0.0, -_CRITICAL, _CRITICAL) - spread).detach() * (spread.abs() < _CRITICAL)
    size = 0.5 * (c1 / c0).square() * spread.abs().sqrt()
    half, imaginary = 0.5 * (a * mean - c), 0.5 * a * size
    root, root_imaginary = _complex_root(half * half - imaginary * imaginary - (d - b * mean), 2.0 * half * imaginary + b * size)
    real = [_negative_roots(mean + s * size, a, b, c, d) for s in (1.0, -1.0)]
    found = []
    for i, sign in enumerate((1.0, -1.0)):
        z, z_imaginary = half + sign * root, imaginary + sign * root_imaginary
        length = (z * z + z_imaginary * z_imaginary).sqrt()
        p, q = real[0][i], real[1][i]
        first = torch.where(spread > 0.0, p + q, (2.0 * (length - z)).clamp(min=1e-30).sqrt())
        found.append((torch.ones_like(z), first, torch.where(spread > 0.0, p * q, length)))
    return found


def _complex_root(real: Tensor, imaginary: Tensor) -> tuple[Tensor, Tensor]:
    """Principal square root of a complex number."""
    larger = (0.5 * (torch.hypot(real, imaginary) + real.abs())).sqrt()
    other = 0.5 * imaginary.abs() / larger
    sign = torch.where(imaginary < 0.0, -1.0, 1.0)
    return torch.where(real >= 0.0, larger, other), sign * torch.where(real >= 0.0, other, larger)


def _negative_roots(inverse: Tensor, a: float, b: float, c: float, d: float) -> tuple[Tensor, Tensor]:
    """Square roots of the two negative solutions' sizes; anything finite where there are none."""
    half = 0.5 * (a * inverse - c)
    root = (half * half - (d - b * inverse)).clamp(min=1e-30).sqrt()
    return (-half - root).clamp(min=1e-30).sqrt(), (-half + root).clamp(min=1e-30).sqrt()


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
