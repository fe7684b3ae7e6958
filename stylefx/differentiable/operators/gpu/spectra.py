"""Responses of second-order sections and spectral distances as Triton kernels, for GPUs. Import only where Triton is.

Complex numbers are two floats side by side. A response is evaluated section by section in registers and multiplied into
the spectrum: it is never written to memory. Blocks of a row are the first dimension of a grid, the only one that may be long.
The same formulae as ``frequency`` and ``spectral_distance``.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from stylefx.differentiable.operators.gpu.where import where

BLOCK = 512


@triton.jit
def _fraction(sections, s, cosine, sine):
    """Numerator and denominator of section s: (real, imaginary) twice."""
    at = sections + s * 6
    n0, n1, n2 = tl.load(at), tl.load(at + 1), tl.load(at + 2)
    d0, d1, d2 = tl.load(at + 3), tl.load(at + 4), tl.load(at + 5)
    squares, mixed, others = cosine * cosine, sine * cosine, sine * sine
    return n0 * squares - n2 * others, n1 * mixed, d0 * squares - d2 * others, d1 * mixed


@triton.jit
def _times(a, b, c, d):
    return a * c - b * d, a * d + b * c


@triton.jit
def _over(a, b, c, d):
    scale = 1.0 / (c * c + d * d)
    return (a * c + b * d) * scale, (b * c - a * d) * scale


@triton.jit
def _response_but(sections, count, skipped, cosine, sine):
    """Product of all sections' responses but one (none for -1)."""
    real, imaginary = cosine * 0.0 + 1.0, cosine * 0.0
    for s in range(count):
        if s != skipped:
            a, b, c, d = _fraction(sections, s, cosine, sine)
            a, b = _over(a, b, c, d)
            real, imaginary = _times(real, imaginary, a, b)
    return real, imaginary


@triton.jit
def _apply_kernel(spectrum, sections, cosines, sines, bins, channels, count, sign, BLOCK: tl.constexpr):
    """spectrum (rows, bins, 2) times the response, sign 1, or its conjugate, sign -1; in place."""
    row = tl.program_id(1).to(tl.int64)
    place = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = place < bins
    cosine, sine = tl.load(cosines + place, mask=inside, other=1.0), tl.load(sines + place, mask=inside, other=0.0)
    real, imaginary = _response_but(sections + row // channels * count * 6, count, -1, cosine, sine)
    at = spectrum + (row * bins + place) * 2
    x, y = tl.load(at, mask=inside, other=0.0), tl.load(at + 1, mask=inside, other=0.0)
    x, y = _times(x, y, real, sign * imaginary)
    tl.store(at, x, mask=inside)
    tl.store(at + 1, y, mask=inside)


@triton.jit
def _adjoint_kernel(spectrum, gradient, sections, cosines, sines, partial, bins, channels, count, blocks, BLOCK: tl.constexpr):
    """partial (items, blocks, count, 6): this block's share of the gradients of the sections; gradient becomes that of the
    input's spectrum."""
    item, block = tl.program_id(1).to(tl.int64), tl.program_id(0)
    place = block * BLOCK + tl.arange(0, BLOCK)
    inside = place < bins
    cosine, sine = tl.load(cosines + place, mask=inside, other=1.0), tl.load(sines + place, mask=inside, other=0.0)
    own = sections + item * count * 6
    real, imaginary = _response_but(own, count, -1, cosine, sine)
    p, q = cosine * 0.0, cosine * 0.0
    for channel in range(channels):
        at = ((item * channels + channel) * bins + place) * 2
        x, y = tl.load(spectrum + at, mask=inside, other=0.0), tl.load(spectrum + at + 1, mask=inside, other=0.0)
        g, h = tl.load(gradient + at, mask=inside, other=0.0), tl.load(gradient + at + 1, mask=inside, other=0.0)
        a, b = _times(g, -h, x, y)
        p, q = p + a, q + b
        g, h = _times(g, h, real, -imaginary)
        tl.store(gradient + at, g, mask=inside)
        tl.store(gradient + at + 1, h, mask=inside)
    weight = tl.where((place == 0) | (place == bins - 1), 1.0, 2.0)
    p, q = p * weight, q * weight
    for s in range(count):
        _, _, c, d = _fraction(own, s, cosine, sine)
        a, b = _over(p, q, c, d)
        u, v = _response_but(own, count, s, cosine, sine)
        u, v = _times(a, b, u, v)
        to = partial + ((item * blocks + block) * count + s) * 6
        tl.store(to, tl.sum(u * cosine * cosine, 0))
        tl.store(to + 1, -tl.sum(v * sine * cosine, 0))
        tl.store(to + 2, -tl.sum(u * sine * sine, 0))
        u, v = _times(a, b, real, imaginary)
        tl.store(to + 3, -tl.sum(u * cosine * cosine, 0))
        tl.store(to + 4, tl.sum(v * sine * cosine, 0))
        tl.store(to + 5, tl.sum(u * sine * sine, 0))


@triton.jit
def _distance_kernel(x, y, partial, bins, count, linear, logarithmic, epsilon, sides, blocks, BLOCK: tl.constexpr):
    """One block of a row of x, y (rows, count, 2), count = frames x bins: partial sum, and gradients in place."""
    row, block = (tl.program_id(0) // blocks).to(tl.int64), tl.program_id(0) % blocks
    place = block * BLOCK + tl.arange(0, BLOCK)
    inside = place < count
    at = (row * count + place) * 2
    a, b = tl.load(x + at, mask=inside, other=0.0), tl.load(x + at + 1, mask=inside, other=0.0)
    c, d = tl.load(y + at, mask=inside, other=0.0), tl.load(y + at + 1, mask=inside, other=0.0)
    power_x, power_y = a * a + b * b, c * c + d * d
    magnitude_x, magnitude_y = tl.sqrt(tl.maximum(power_x, epsilon)), tl.sqrt(tl.maximum(power_y, epsilon))
    difference = magnitude_x - magnitude_y
    terms = linear * tl.abs(difference) + logarithmic * tl.abs(tl.log(magnitude_x / magnitude_y))
    tl.store(partial + row * blocks + block, tl.sum(tl.where(inside, terms, 0.0), 0))
    sign = tl.where(difference > 0.0, 1.0, tl.where(difference < 0.0, -1.0, 0.0))
    bin = place % bins
    sign = sign * tl.where((bin == 0) | (bin == bins - 1), 1.0, 0.5)  # what an unscaled inverse real FFT expects
    if sides > 0:
        factor = tl.where(power_x >= epsilon, sign * (linear + logarithmic / magnitude_x) / magnitude_x, 0.0)
        tl.store(x + at, factor * a, mask=inside)
        tl.store(x + at + 1, factor * b, mask=inside)
    if sides > 1:
        factor = tl.where(power_y >= epsilon, -sign * (linear + logarithmic / magnitude_y) / magnitude_y, 0.0)
        tl.store(y + at, factor * c, mask=inside)
        tl.store(y + at + 1, factor * d, mask=inside)


def apply_response(spectrum: Tensor, sections: Tensor, cosine: Tensor, sine: Tensor) -> None:
    """spectrum complex (items, channels, bins) times the response of sections (items, count, 6), in place."""
    items, channels, bins = spectrum.shape
    tensors, grid = (
        (torch.view_as_real(spectrum), sections.contiguous(), cosine, sine),
        (triton.cdiv(bins, BLOCK), items * channels),
    )
    with where(spectrum):
        _apply_kernel[grid](*tensors, bins, channels, sections.shape[1], 1.0, BLOCK=BLOCK)


def response_adjoint(spectrum: Tensor, gradient: Tensor, sections: Tensor, cosine: Tensor, sine: Tensor, length: int) -> Tensor:
    """Gradients of the sections, float64 (items, count, 6); gradient becomes that of the input's spectrum."""
    items, channels, bins = spectrum.shape
    blocks, count = triton.cdiv(bins, BLOCK), sections.shape[1]
    partial = sections.new_empty(items, blocks, count, 6)
    tensors = (torch.view_as_real(spectrum), torch.view_as_real(gradient), sections.contiguous(), cosine, sine, partial)
    with where(spectrum):
        _adjoint_kernel[(blocks, items)](*tensors, bins, channels, count, blocks, BLOCK=BLOCK)
    return partial.sum(1, dtype=torch.float64) / length


def distances(x: Tensor, y: Tensor, linear: float, logarithmic: float, epsilon: float, sides: int) -> Tensor:
    """As ``spectral_distance._distances``: x, y complex64 (rows, frames, bins), overwritten; sums per row."""
    rows, frames, bins = x.shape
    count = frames * bins
    blocks = triton.cdiv(count, BLOCK)
    partial = torch.empty(rows, blocks, dtype=x.real.dtype, device=x.device)
    sizes = (bins, count, linear, logarithmic, epsilon, sides, blocks)
    with where(x):
        _distance_kernel[(rows * blocks,)](torch.view_as_real(x), torch.view_as_real(y), partial, *sizes, BLOCK=BLOCK)
    return partial.sum(1)
