"""Recursions over time as Triton kernels, for GPUs. Import only where Triton is.

One program per sequence walks it block by block; inside a block a parallel scan of affine maps. The branching smoother
iterates a block's branches until they are final: each round makes at least the next sample final, in practice a handful of
rounds does it, and there is no limit to run into. Its adjoint is linear, and spread over the blocks of a sequence. State and
branches in float64. No kernel makes the host wait.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from stylefx.differentiable.operators.gpu.where import where
from stylefx.differentiable.operators.scans import TIE, section_state

BLOCK = 1024


@triton.jit
def _then(a, b, before_a, before_b, c, d, before_c, before_d):
    """Affine maps y -> a y + b, then y -> c y + d; and the same without the last map of the second."""
    return a * c, c * b + d, a * before_c, before_c * b + before_d


@triton.jit
def _smoother_kernel(reduction, rise_of, fall_of, out, samples, tie, BLOCK: tl.constexpr):
    item = tl.program_id(0).to(tl.int64)
    rise, fall = tl.load(rise_of + item), tl.load(fall_of + item)
    tie = tl.where(rise >= fall, tie, -tie).to(rise.dtype)
    lane = tl.arange(0, BLOCK)
    zero = tl.zeros([BLOCK], dtype=rise.dtype)
    state = rise * 0.0
    for start in range(0, samples, BLOCK):
        place = start + lane
        inside = place < samples
        r = tl.load(reduction + item * samples + place, mask=inside, other=0.0)
        rising = r > state
        y = zero
        changed = 1
        while changed > 0:
            k = tl.where(rising, rise, fall)
            keep = tl.where(inside, 1.0 - k, 1.0 + zero)
            add = (1.0 - keep) * r
            a, b, before_a, before_b = tl.associative_scan((keep, add, zero + 1.0, zero), 0, _then)
            y = a * state + b
            before = before_a * state + before_b
            now = r > before + tie * tl.maximum(tl.abs(r), tl.abs(before))
            changed = tl.sum(((now != rising) & inside).to(tl.int32), 0)
            rising = now
        tl.store(out + item * samples + place, y, mask=inside)
        state = tl.sum(tl.where(lane == BLOCK - 1, y, zero), 0)


@triton.jit
def _affine(a, b, c, d):
    return a * c, c * b + d


@triton.jit
def _branches(reduction, smooth, place, inside, rise, fall, tie_rises):
    """Backwards in time: what pulls the state, which way it goes, and how far a sample moves it."""
    before = tl.load(smooth + place - 1, mask=inside & (place > 0), other=0.0)
    difference = tl.load(reduction + place, mask=inside, other=0.0) - before
    rising = (difference > 0.0) | ((difference == 0.0) & (tie_rises > 0))
    return difference, rising, tl.where(rising, rise, fall)


@triton.jit
def _smoother_carry_kernel(
    reduction, rise_of, fall_of, smooth, upstream, slopes, offsets, samples, blocks, tie_rises, BLOCK: tl.constexpr
):
    """Of a block the affine map from what the next hands back to what this hands back: slopes, offsets (items, blocks)."""
    item = (tl.program_id(0) // blocks).to(tl.int64)
    rise, fall, row = tl.load(rise_of + item), tl.load(fall_of + item), item * samples
    lane = tl.arange(0, BLOCK)
    place = tl.program_id(0) % blocks * BLOCK + BLOCK - 1 - lane
    inside = place < samples
    _, _, k = _branches(reduction + row, smooth + row, place, inside, rise, fall, tie_rises)
    keep = tl.where(inside, 1.0 - k, 1.0)
    wanted = tl.load(upstream + row + place, mask=inside, other=0.0)
    a, b = tl.associative_scan((keep, tl.where(inside, keep * wanted, 0.0)), 0, _affine)
    tl.store(slopes + tl.program_id(0), tl.sum(tl.where(lane == BLOCK - 1, a, 0.0), 0))
    tl.store(offsets + tl.program_id(0), tl.sum(tl.where(lane == BLOCK - 1, b, 0.0), 0))


@triton.jit
def _hand_back_kernel(slopes, offsets, carried, blocks, BLOCK: tl.constexpr):
    """carried (items, blocks): what every block is handed by the ones after it, from the maps of the blocks."""
    item = tl.program_id(0).to(tl.int64)
    lane = tl.arange(0, BLOCK)
    state = tl.load(slopes + item * blocks) * 0.0
    one = tl.zeros([BLOCK], dtype=state.dtype) + 1.0
    for start in range(0, blocks, BLOCK):
        place = blocks - 1 - start - lane
        inside = place >= 0
        keep = tl.load(slopes + item * blocks + place, mask=inside, other=1.0)
        add = tl.load(offsets + item * blocks + place, mask=inside, other=0.0)
        a, b, before_a, before_b = tl.associative_scan((keep, add, one, one * 0.0), 0, _then)
        tl.store(carried + item * blocks + place, before_a * state + before_b, mask=inside)
        state = tl.sum(tl.where(lane == BLOCK - 1, a * state + b, 0.0), 0)


@triton.jit
def _smoother_adjoint_kernel(
    reduction, rise_of, fall_of, smooth, upstream, carried, d_reduction, partial, samples, blocks, tie_rises, BLOCK: tl.constexpr
):
    """partial (items, blocks, 2): this block's share of the gradients of rise and fall."""
    item = (tl.program_id(0) // blocks).to(tl.int64)
    rise, fall, row = tl.load(rise_of + item), tl.load(fall_of + item), item * samples
    place = tl.program_id(0) % blocks * BLOCK + BLOCK - 1 - tl.arange(0, BLOCK)
    inside = place < samples
    difference, rising, k = _branches(reduction + row, smooth + row, place, inside, rise, fall, tie_rises)
    keep = tl.where(inside, 1.0 - k, 1.0)
    wanted = tl.load(upstream + row + place, mask=inside, other=0.0)
    zero = wanted * 0.0
    _, _, a, b = tl.associative_scan((keep, keep * wanted, zero + 1.0, zero), 0, _then)
    adjoint = tl.where(inside, wanted + a * tl.load(carried + tl.program_id(0)) + b, zero)
    tl.store(d_reduction + row + place, k * adjoint, mask=inside)
    product = adjoint * difference
    to = partial + tl.program_id(0).to(tl.int64) * 2
    tl.store(to, tl.sum(tl.where(rising, product, zero), 0))
    tl.store(to + 1, tl.sum(tl.where(rising, zero, product), 0))


@triton.jit
def _matrix_affine(a, b, c, d, u, v, e, f, g, h, x, y):
    """s -> [[a, b], [c, d]] s + (u, v), then s -> [[e, f], [g, h]] s + (x, y)."""
    return e * a + f * c, e * b + f * d, g * a + h * c, g * b + h * d, e * u + f * v + x, g * u + h * v + y


@triton.jit
def _section_kernel(x, first_of, step_of, drive_of, look_of, out, samples, channels, BLOCK: tl.constexpr):
    """A second-order section as the recursion of two values of ``scans.section_state``."""
    row = tl.program_id(0).to(tl.int64)
    item = row // channels
    step, drive, look = step_of + item * 4, drive_of + item * 2, look_of + item * 2
    a, b, c, d = tl.load(step), tl.load(step + 1), tl.load(step + 2), tl.load(step + 3)
    drive_first, drive_second = tl.load(drive), tl.load(drive + 1)
    look_first, look_second = tl.load(look), tl.load(look + 1)
    b0 = tl.load(first_of + item)
    lane = tl.arange(0, BLOCK)
    zero = tl.zeros([BLOCK], dtype=b0.dtype)
    first, second = b0 * 0.0, b0 * 0.0  # the state before the block
    for start in range(0, samples, BLOCK):
        place = start + lane
        inside = place < samples
        value = tl.load(x + row * samples + place, mask=inside, other=0.0)
        # What the state before each sample makes of the sample before that: lane 0 leaves the state as it is.
        earlier = tl.load(x + row * samples + place - 1, mask=inside & (lane > 0), other=0.0)
        moves = lane > 0
        e, f = tl.where(moves, a + zero, 1.0), tl.where(moves, b + zero, 0.0)
        g, h = tl.where(moves, c + zero, 0.0), tl.where(moves, d + zero, 1.0)
        e, f, g, h, u, v = tl.associative_scan((e, f, g, h, drive_first * earlier, drive_second * earlier), 0, _matrix_affine)
        before_first, before_second = e * first + f * second + u, g * first + h * second + v
        y = b0 * value + look_first * before_first + look_second * before_second
        tl.store(out + row * samples + place, y, mask=inside)
        last_first = a * before_first + b * before_second + drive_first * value
        last_second = c * before_first + d * before_second + drive_second * value
        first = tl.sum(tl.where(lane == BLOCK - 1, last_first, zero), 0)
        second = tl.sum(tl.where(lane == BLOCK - 1, last_second, zero), 0)


def block_of(samples: int) -> int:
    return min(BLOCK, triton.next_power_of_2(samples))


def branching_smoother(reduction: Tensor, rise: Tensor, fall: Tensor) -> Tensor:
    """As ``scans.branching_smoother``, always final: reduction float64 (items, n), rise and fall (items,)."""
    out, samples = torch.empty_like(reduction), reduction.shape[1]
    with where(reduction):
        _smoother_kernel[(len(reduction),)](reduction, rise, fall, out, samples, TIE[reduction.dtype], BLOCK=block_of(samples))
    return out


def hand_back(slopes: Tensor, offsets: Tensor, carried: Tensor) -> None:
    """Fill ``carried``; all (items, blocks)."""
    items, blocks = slopes.shape
    with where(slopes):
        _hand_back_kernel[(items,)](slopes, offsets, carried, blocks, BLOCK=block_of(blocks))


def smoother_adjoint(
    reduction: Tensor, rise: Tensor, fall: Tensor, smooth: Tensor, upstream: Tensor, tie_rises: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of reduction, rise and fall: every block as if nothing came after it, what enters the blocks, and again."""
    items, samples = reduction.shape
    block = block_of(samples)
    blocks = triton.cdiv(samples, block)
    slopes, offsets, carried = (reduction.new_empty(items, blocks) for _ in range(3))
    d_reduction, partial = torch.empty_like(reduction), reduction.new_empty(items, blocks, 2)
    inputs, sizes = (reduction, rise, fall, smooth, upstream), (samples, blocks, int(tie_rises))
    with where(reduction):
        _smoother_carry_kernel[(items * blocks,)](*inputs, slopes, offsets, *sizes, BLOCK=block)
        hand_back(slopes, offsets, carried)
        _smoother_adjoint_kernel[(items * blocks,)](*inputs, carried, d_reduction, partial, *sizes, BLOCK=block)
    d_rise, d_fall = partial.sum(1).unbind(-1)
    return d_reduction, d_rise.contiguous(), d_fall.contiguous()


def section(x: Tensor, coefficients: Tensor) -> Tensor:
    """As ``scans.section``: x float64 (items, channels, n), coefficients (items, 5)."""
    x, (items, channels, samples) = x.contiguous(), x.shape
    out, state = torch.empty_like(x), [t.contiguous() for t in section_state(coefficients)]
    block = min(256, block_of(samples))  # six values per sample are carried through the scan
    first = coefficients[:, 0].contiguous()
    with where(x):
        _section_kernel[(items * channels,)](x, first, *state, out, samples, channels, BLOCK=block)
    return out
