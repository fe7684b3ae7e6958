"""Feed-forward dynamics as one differentiable operator: side chain, static curve, branching smoother, gain.

``dynamics(audio, law, sign)``: audio (items, channels, n), float32 or float64; law float64 (items, 7) with the columns
threshold dB, slope, knee dB, limit dB, rise, fall (the smoothers' 1 - a) and make-up dB; sign +1 reduces above the
threshold (compressor), -1 below it (expander). The model and its adjoint: ``compiled/dynamics.py``
(D. Giannoulis, M. Massberg, J. D. Reiss, JAES 60(6), 2012). Forms: "compiled" (CPU), "triton" (CUDA), "scan" (plain torch).
The steps are there one by one too, for effects with another side chain: ``peaks``, ``curve``, ``smooth_reduction``.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from stylefx.differentiable.operators import scans
from stylefx.differentiable.operators.compiled import dynamics as loops
from stylefx.differentiable.operators.compiled import smoother
from stylefx.differentiable.operators.compiled.jit import blocks, for_rows
from stylefx.differentiable.operators.forms import default_form

DB_PER_NEPER = 20.0 / math.log(10.0)
FLOOR = loops.FLOOR
NEUTRAL = 1e-9  # dB per dB and dB; the least slope and limit that laws are evaluated at


def smoothing(time_ms: Tensor, sample_rate: float) -> Tensor:
    """1 - a of a one-pole that covers 10 % to 90 % of a step in ``time_ms``; float64 of any shape."""
    return -torch.expm1(-math.log(9.0) / (sample_rate * 1e-3 * time_ms))


def dynamics(audio: Tensor, law: Tensor, sign: float, form: str | None = None) -> Tensor:
    """Audio through the dynamics; gradients to audio and law. ``form`` overrides the device's own."""
    form = form or default_form(audio)
    threshold, slope, knee, limit, rise, fall, makeup = law.to(scans.state_dtype(audio.device)).unbind(-1)
    slope, limit = off_neutral(slope, limit)
    if form != "scan":
        law = torch.stack([threshold, slope, knee, limit, rise, fall, makeup], -1)
        return _dynamics(audio.contiguous(), law, sign, form)[0]
    reduction = curve(peaks(audio), threshold, slope, knee, limit, sign)
    smooth = smooth_reduction(reduction, rise, fall, sign, form)
    gain = torch.exp((makeup[:, None] - smooth) / DB_PER_NEPER)
    return audio * gain.to(audio.dtype).unsqueeze(1)


def off_neutral(slope: Tensor, limit: Tensor) -> tuple[Tensor, Tensor]:
    """Slope and limit as the laws are evaluated: no less than 1e-9, with the gradients of their own.

    At a slope or limit of exactly 0 the reduction is 0 throughout, every sample a tie, and which branch the smoother would
    take for the least reduction unknown: it is seen a hair off (the output moves by less than 1e-6 dB), as the one-sided
    derivative asks. Where both are 0 neither alone changes anything.
    """
    off = (slope <= 0.0) & (limit <= 0.0)
    a, b = (torch.where(off, v.detach(), v) + (NEUTRAL - v).clamp(min=0.0).detach() for v in (slope, limit))
    return a, b


def peaks(audio: Tensor) -> Tensor:
    """The side chain: the largest |x| of the channels, (items, n)."""
    return audio.abs().amax(1)


def curve(peak: Tensor, threshold: Tensor, slope: Tensor, knee: Tensor, limit: Tensor, sign: float) -> Tensor:
    """Static reduction in dB, in the state's precision, of peak (items, n); the others (items,)."""
    threshold, slope, knee, limit = (t[:, None] for t in (threshold, slope, knee, limit))
    level = DB_PER_NEPER * torch.log(peak.to(threshold.dtype).clamp(min=FLOOR))
    over = sign * (level - threshold)
    knee = knee.clamp(min=1e-6)  # a hard knee must not divide by zero, and has no gradient
    inside = torch.minimum((over + 0.5 * knee).clamp(min=0.0), knee)
    # Inside the knee a parabola, above it the line.
    height = inside.square() / (2.0 * knee) + (over - 0.5 * knee).clamp(min=0.0)
    return torch.minimum(slope * height, limit)


def smooth_reduction(reduction: Tensor, rise: Tensor, fall: Tensor, sign: float, form: str | None = None) -> Tensor:
    """The branching smoother: reduction (items, n) in the state's precision, rise and fall (items,)."""
    form = form or default_form(reduction)
    return _smoother(reduction.contiguous(), rise.contiguous(), fall.contiguous(), sign, form)


@torch.library.custom_op("stylefx::dynamics", mutates_args=())
def _dynamics(audio: Tensor, law: Tensor, sign: float, form: str) -> tuple[Tensor, Tensor, Tensor]:
    """Output and what the adjoint starts from: the smoother's state at the start of every block (compiled), or the reduction
    and its smoothed course (Triton)."""
    if form == "triton":
        from stylefx.differentiable.operators.gpu import dynamics as kernels

        return kernels.dynamics(audio, law, sign)
    out = torch.empty_like(audio)
    checkpoints = law.new_empty((audio.shape[0], blocks(audio.shape[2])))
    a, w, o, c = (t.detach().numpy() for t in (audio, law, out, checkpoints))
    for_rows(loops.dynamics_items, audio.shape[0], a, w, sign, o, c)
    return out, checkpoints, law.new_empty(0)


@_dynamics.register_fake
def _(audio: Tensor, law: Tensor, sign: float, form: str) -> tuple[Tensor, Tensor, Tensor]:
    items, _, samples = audio.shape
    if form == "triton":
        return torch.empty_like(audio), law.new_empty((items, samples)), law.new_empty((items, samples))
    return torch.empty_like(audio), law.new_empty((items, blocks(samples))), law.new_empty(0)


@torch.library.custom_op("stylefx::dynamics_adjoint", mutates_args=())
def _dynamics_adjoint(
    audio: Tensor, law: Tensor, checkpoints: Tensor, smooth: Tensor, upstream: Tensor, sign: float, form: str
) -> tuple[Tensor, Tensor]:
    if form == "triton":
        from stylefx.differentiable.operators.gpu import dynamics as kernels

        return kernels.dynamics_adjoint(audio, law, checkpoints, smooth, upstream, sign)
    d_audio, d_law = torch.empty_like(audio), torch.zeros_like(law)
    a, w, c, u, da, dw = (t.detach().numpy() for t in (audio, law, checkpoints, upstream, d_audio, d_law))
    for_rows(loops.dynamics_adjoint_items, audio.shape[0], a, w, sign, c, u, da, dw)
    return d_audio, d_law


@_dynamics_adjoint.register_fake
def _(
    audio: Tensor, law: Tensor, checkpoints: Tensor, smooth: Tensor, upstream: Tensor, sign: float, form: str
) -> tuple[Tensor, Tensor]:
    return torch.empty_like(audio), torch.empty_like(law)


def _save(ctx: Any, inputs: Any, output: Any) -> None:
    audio, law, ctx.sign, ctx.form = inputs
    ctx.save_for_backward(audio, law, *output[1:])
    ctx.set_materialize_grads(False)


def _backward(ctx: Any, upstream: Tensor | None, *_saved: Tensor | None) -> tuple[Any, ...]:
    if upstream is None:
        return None, None, None, None
    upstream = upstream.to(ctx.saved_tensors[0].dtype).contiguous()
    return (*_dynamics_adjoint(*ctx.saved_tensors, upstream, ctx.sign, ctx.form), None, None)


_dynamics.register_autograd(_backward, setup_context=_save)


@torch.library.custom_op("stylefx::smoother", mutates_args=())
def _smoother(reduction: Tensor, rise: Tensor, fall: Tensor, sign: float, form: str) -> Tensor:
    if form == "compiled":
        return _smoothed_by_loops(reduction, rise, fall)
    if form == "triton":
        from stylefx.differentiable.operators.gpu import recursions

        return recursions.branching_smoother(reduction, rise, fall)
    smooth, unfinished = scans.branching_smoother(reduction, rise[:, None], fall[:, None], scans.POLICY_CAP)
    return _finished(smooth, unfinished, reduction, rise, fall)


def _smoothed_by_loops(reduction: Tensor, rise: Tensor, fall: Tensor) -> Tensor:
    """float64, on the CPU."""
    smooth = torch.empty_like(reduction)
    for_rows(smoother.smooth_items, len(reduction), *(t.detach().numpy() for t in (reduction, rise, fall, smooth)))
    return smooth


def _finished(smooth: Tensor, unfinished: Tensor, reduction: Tensor, rise: Tensor, fall: Tensor) -> Tensor:
    """Items that policy iteration left unfinished, through the loop on the CPU.

    Reading the flags is the one place where a step waits for a device that has neither compiled loops nor Triton kernels.
    """
    if unfinished.any():
        inputs = (t[unfinished].to("cpu", torch.float64) for t in (reduction, rise, fall))
        smooth[unfinished] = _smoothed_by_loops(*inputs).to(smooth.dtype).to(smooth.device)
    return smooth


@_smoother.register_fake
def _(reduction: Tensor, rise: Tensor, fall: Tensor, sign: float, form: str) -> Tensor:
    return torch.empty_like(reduction)


@torch.library.custom_op("stylefx::smoother_adjoint", mutates_args=())
def _smoother_adjoint(
    reduction: Tensor, rise: Tensor, fall: Tensor, smooth: Tensor, upstream: Tensor, sign: float, form: str
) -> tuple[Tensor, Tensor, Tensor]:
    if form == "compiled":
        gradients = torch.empty_like(reduction), torch.zeros_like(rise), torch.zeros_like(fall)
        tensors = (reduction, rise, fall, smooth, upstream, *gradients)
        for_rows(smoother.smooth_adjoint_items, len(reduction), sign, *(t.detach().numpy() for t in tensors))
        return gradients
    if form == "triton":
        from stylefx.differentiable.operators.gpu import recursions

        return recursions.smoother_adjoint(reduction, rise, fall, smooth, upstream, sign < 0.0)
    difference = reduction - pad(smooth[..., :-1], (1, 0))
    # A tie counts as release: falling for a compressor, rising for an expander.
    rising = difference >= 0.0 if sign < 0.0 else difference > 0.0
    k = torch.where(rising, rise[:, None], fall[:, None])
    adjoint = scans.smoother_adjoint(upstream, 1.0 - k)
    d_k = adjoint * difference
    d_rise, d_fall = torch.where(rising, d_k, 0.0), torch.where(rising, 0.0, d_k)
    return k * adjoint, d_rise.sum(-1), d_fall.sum(-1)


@_smoother_adjoint.register_fake
def _(
    reduction: Tensor, rise: Tensor, fall: Tensor, smooth: Tensor, upstream: Tensor, sign: float, form: str
) -> tuple[Tensor, Tensor, Tensor]:
    return torch.empty_like(reduction), torch.empty_like(rise), torch.empty_like(fall)


def _save_smoother(ctx: Any, inputs: Any, output: Any) -> None:
    reduction, rise, fall, ctx.sign, ctx.form = inputs
    ctx.save_for_backward(reduction, rise, fall, output)
    ctx.set_materialize_grads(False)


def _smoother_backward(ctx: Any, upstream: Tensor | None) -> tuple[Any, ...]:
    if upstream is None:
        return None, None, None, None, None
    return (*_smoother_adjoint(*ctx.saved_tensors, upstream.contiguous(), ctx.sign, ctx.form), None, None)


_smoother.register_autograd(_smoother_backward, setup_context=_save_smoother)
