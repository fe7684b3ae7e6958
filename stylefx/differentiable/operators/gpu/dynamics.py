"""Feed-forward dynamics on GPUs: curve, smoother and gain forward, and their adjoint backward.

Only the branching smoother walks a recording from its beginning; all else is spread over blocks of it. Audio float32 or
float64 in and out, everything between in float64. The adjoint is a linear recursion, done in two passes: every block as if
nothing came after it, then what enters each block, and the block again from there. The model: ``compiled/dynamics.py``.
"""

from __future__ import annotations

import math

import torch
import triton
import triton.language as tl
from torch import Tensor

from stylefx.differentiable.operators.gpu.recursions import _affine, _then, block_of, branching_smoother, hand_back
from stylefx.differentiable.operators.gpu.where import where

_DB = tl.constexpr(20.0 / math.log(10.0))
_FLOOR = tl.constexpr(10.0 ** (-96.0 / 20.0))
_HARD = tl.constexpr(1e-6)  # a hard knee must not divide by zero, and has no gradient


@triton.jit
def _peak(audio, place, inside, samples, channels):
    """The loudest channel, in the state's precision; audio points to the item."""
    peak = tl.abs(tl.load(audio + place, mask=inside, other=0.0))
    for channel in range(1, channels):
        peak = tl.maximum(peak, tl.abs(tl.load(audio + channel * samples + place, mask=inside, other=0.0)))
    return peak.to(tl.float64)


@triton.jit
def _knee(peak, law, sign):
    """Where in the knee (0 to its width) and how high above it the level is, and the knee's width."""
    threshold, knee = tl.load(law), tl.maximum(tl.load(law + 2), _HARD)
    over = sign * (_DB * tl.log(tl.maximum(peak, _FLOOR)) - threshold)
    inside = tl.minimum(tl.maximum(over + 0.5 * knee, 0.0), knee)
    return inside, inside * inside / (2.0 * knee) + tl.maximum(over - 0.5 * knee, 0.0), knee


@triton.jit
def _reduction_kernel(audio, laws, reduction, samples, channels, blocks, sign, BLOCK: tl.constexpr):
    item = (tl.program_id(0) // blocks).to(tl.int64)
    place = tl.program_id(0) % blocks * BLOCK + tl.arange(0, BLOCK)
    inside = place < samples
    law = laws + item * 7
    _, height, _ = _knee(_peak(audio + item * channels * samples, place, inside, samples, channels), law, sign)
    tl.store(reduction + item * samples + place, tl.minimum(tl.load(law + 1) * height, tl.load(law + 3)), mask=inside)


@triton.jit
def _gain(smooth, law, place, inside):
    return tl.exp((tl.load(law + 6) - tl.load(smooth + place, mask=inside, other=0.0)) / _DB)


@triton.jit
def _gain_kernel(audio, laws, smooth, out, samples, channels, blocks, BLOCK: tl.constexpr):
    item = (tl.program_id(0) // blocks).to(tl.int64)
    place = tl.program_id(0) % blocks * BLOCK + tl.arange(0, BLOCK)
    inside = place < samples
    gain = _gain(smooth + item * samples, laws + item * 7, place, inside)
    for channel in range(channels):
        at = (item * channels + channel) * samples + place
        x = tl.load(audio + at, mask=inside, other=0.0)
        tl.store(out + at, (x.to(tl.float64) * gain).to(x.dtype), mask=inside)


@triton.jit
def _moved(audio, upstream, smooth, law, place, inside, samples, channels):
    """Gain, and how the loss changes with its logarithm; all but law point to the item."""
    gain = _gain(smooth, law, place, inside)
    total = gain * 0.0
    for channel in range(channels):
        x = tl.load(audio + channel * samples + place, mask=inside, other=0.0)
        u = tl.load(upstream + channel * samples + place, mask=inside, other=0.0)
        total += x.to(tl.float64) * u.to(tl.float64)
    return gain, total * gain


@triton.jit
def _branches(reduction, smooth, law, place, inside, sign):
    """What pulls the state, which way it goes and the share that stays; a tie counts as release: falling for a compressor,
    rising for an expander."""
    before = tl.load(smooth + place - 1, mask=inside & (place > 0), other=0.0)
    difference = tl.load(reduction + place, mask=inside, other=0.0) - before
    rising = (difference > 0.0) | ((difference == 0.0) & (sign < 0.0))
    k = tl.where(rising, tl.load(law + 4), tl.load(law + 5))
    return difference, rising, k, tl.where(inside, 1.0 - k, 1.0)


@triton.jit
def _carry_kernel(
    audio, laws, reduction, smooth, upstream, slopes, offsets, samples, channels, blocks, sign, BLOCK: tl.constexpr
):
    """Of a block the affine map from what the next hands back to what this hands back: slopes, offsets (items, blocks)."""
    item = (tl.program_id(0) // blocks).to(tl.int64)
    lane = tl.arange(0, BLOCK)
    place = tl.program_id(0) % blocks * BLOCK + BLOCK - 1 - lane  # backwards in time
    inside = place < samples
    law, row, own = laws + item * 7, item * samples, item * channels * samples
    _, moved = _moved(audio + own, upstream + own, smooth + row, law, place, inside, samples, channels)
    _, _, _, keep = _branches(reduction + row, smooth + row, law, place, inside, sign)
    a, b = tl.associative_scan((keep, tl.where(inside, -keep * moved / _DB, 0.0)), 0, _affine)
    tl.store(slopes + tl.program_id(0), tl.sum(tl.where(lane == BLOCK - 1, a, 0.0), 0))
    tl.store(offsets + tl.program_id(0), tl.sum(tl.where(lane == BLOCK - 1, b, 0.0), 0))


@triton.jit
def _adjoint_kernel(
    audio, laws, reduction, smooth, upstream, carried, d_audio, partial,
    samples, channels, blocks, sign, BLOCK: tl.constexpr,
):  # fmt: skip
    """carried (items, blocks): what the next block hands back. partial (items, blocks, 7): this block's share of the law's
    gradients."""
    item = (tl.program_id(0) // blocks).to(tl.int64)
    place = tl.program_id(0) % blocks * BLOCK + BLOCK - 1 - tl.arange(0, BLOCK)
    inside = place < samples
    law, row, own = laws + item * 7, item * samples, item * channels * samples
    gain, moved = _moved(audio + own, upstream + own, smooth + row, law, place, inside, samples, channels)
    difference, rising, k, keep = _branches(reduction + row, smooth + row, law, place, inside, sign)
    zero = gain * 0.0
    wanted = tl.where(inside, -moved / _DB, zero)
    _, _, a, b = tl.associative_scan((keep, keep * wanted, zero + 1.0, zero), 0, _then)
    adjoint = tl.where(inside, wanted + a * tl.load(carried + tl.program_id(0)) + b, zero)
    product, of_reduction = adjoint * difference, k * adjoint
    peak = _peak(audio + own, place, inside, samples, channels)
    height_in, height, knee = _knee(peak, law, sign)
    slope = tl.load(law + 1)
    free = tl.where(slope * height >= tl.load(law + 3), zero, of_reduction)
    steepness = height_in / knee
    of_level = sign * slope * steepness * free
    of_knee = slope * 0.5 * steepness * (1.0 - steepness) * free
    to = partial + tl.program_id(0).to(tl.int64) * 7
    tl.store(to, -tl.sum(of_level, 0))
    tl.store(to + 1, tl.sum(height * free, 0))
    tl.store(to + 2, tl.where(tl.load(law + 2) >= _HARD, tl.sum(of_knee, 0), 0.0))
    tl.store(to + 3, tl.sum(of_reduction - free, 0))
    tl.store(to + 4, tl.sum(tl.where(rising, product, zero), 0))
    tl.store(to + 5, tl.sum(tl.where(rising, zero, product), 0))
    tl.store(to + 6, tl.sum(tl.where(inside, moved, zero), 0) / _DB)
    of_peak = tl.where(peak > _FLOOR, _DB * of_level / tl.maximum(peak, _FLOOR), zero)
    ties = zero
    for channel in range(channels):
        x = tl.load(audio + own + channel * samples + place, mask=inside, other=0.0).to(tl.float64)
        ties += tl.where(tl.abs(x) == peak, zero + 1.0, zero)
    of_peak = of_peak / tl.maximum(ties, 1.0)  # channels that tie share it
    for channel in range(channels):
        at = own + channel * samples + place
        x = tl.load(audio + at, mask=inside, other=0.0).to(tl.float64)
        u = tl.load(upstream + at, mask=inside, other=0.0)
        own_share = tl.where(x == peak, of_peak, tl.where(x == -peak, -of_peak, zero))
        tl.store(d_audio + at, (u.to(tl.float64) * gain + own_share).to(u.dtype), mask=inside)


def dynamics(audio: Tensor, law: Tensor, sign: float) -> tuple[Tensor, Tensor, Tensor]:
    """audio (items, channels, n), law float64 (items, 7) -> output, and reduction and its smoothed course, float64 (items, n)."""
    items, channels, samples = audio.shape
    out, reduction = torch.empty_like(audio), law.new_empty(items, samples)
    block = block_of(samples)
    blocks = triton.cdiv(samples, block)
    grid = (items * blocks,)
    with where(audio):
        _reduction_kernel[grid](audio, law, reduction, samples, channels, blocks, sign, BLOCK=block)
        smooth = branching_smoother(reduction, law[:, 4].contiguous(), law[:, 5].contiguous())
        _gain_kernel[grid](audio, law, smooth, out, samples, channels, blocks, BLOCK=block)
    return out, reduction, smooth


def dynamics_adjoint(
    audio: Tensor, law: Tensor, reduction: Tensor, smooth: Tensor, upstream: Tensor, sign: float
) -> tuple[Tensor, Tensor]:
    """Gradients of audio and law."""
    items, channels, samples = audio.shape
    block = block_of(samples)
    blocks = triton.cdiv(samples, block)
    slopes, offsets, carried = (law.new_empty(items, blocks) for _ in range(3))
    d_audio, partial = torch.empty_like(audio), law.new_empty(items, blocks, 7)
    inputs, sizes, grid = (audio, law, reduction, smooth, upstream), (samples, channels, blocks, sign), (items * blocks,)
    with where(audio):
        _carry_kernel[grid](*inputs, slopes, offsets, *sizes, BLOCK=block, num_warps=8)
        hand_back(slopes, offsets, carried)
        _adjoint_kernel[grid](*inputs, carried, d_audio, partial, *sizes, BLOCK=block, num_warps=8)
    return d_audio, partial.sum(1)
