"""Second-order sections in series as one differentiable operator, on every device.

``stylefx::biquads`` filters audio (items, channels, n), float32 or float64, with coefficients (items, sections, 5),
float64: b0, b1, b2, a1, a2. Registered with torch, so that torch.compile, autocast and CUDA graphs see one node.
Forms: "compiled" (CPU), "triton" (CUDA), "scan" (plain torch, any device).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from stylefx.differentiable.operators import scans
from stylefx.differentiable.operators.compiled import biquads as loops
from stylefx.differentiable.operators.compiled.jit import blocks, for_rows
from stylefx.differentiable.operators.forms import default_form


def biquads(audio: Tensor, coefficients: Tensor, form: str | None = None) -> Tensor:
    """Filter; gradients to both. ``form`` overrides the device's own."""
    form = form or default_form(audio)
    return _biquads(audio.contiguous(), coefficients.to(scans.state_dtype(audio.device)).contiguous(), form)[0]


@torch.library.custom_op("stylefx::biquads", mutates_args=())
def _biquads(audio: Tensor, coefficients: Tensor, form: str) -> tuple[Tensor, Tensor]:
    """Output and, for the compiled form, the checkpoints that its adjoint starts from."""
    out = torch.empty_like(audio)
    if form == "compiled":
        rows, sections = audio.shape[0] * audio.shape[1], coefficients.shape[1]
        checkpoints = audio.new_empty((rows, blocks(audio.shape[2]), sections + 1, 2), dtype=torch.float64)
        arrays = (t.detach().numpy() for t in (audio, coefficients, out, checkpoints))
        for_rows(loops.filter_rows, rows, *arrays)
        return out, checkpoints
    signals = _section_signals(audio, coefficients, form)
    out.copy_(signals[-1])
    return out, audio.new_empty(0, dtype=coefficients.dtype)


@_biquads.register_fake
def _(audio: Tensor, coefficients: Tensor, form: str) -> tuple[Tensor, Tensor]:
    if form == "compiled":
        rows, sections = audio.shape[0] * audio.shape[1], coefficients.shape[1]
        shape: tuple[Any, ...] = (rows, blocks(audio.shape[2]), sections + 1, 2)
    else:
        shape = (0,)
    return torch.empty_like(audio), audio.new_empty(shape, dtype=coefficients.dtype)


@torch.library.custom_op("stylefx::biquads_adjoint", mutates_args=())
def _biquads_adjoint(
    audio: Tensor, coefficients: Tensor, checkpoints: Tensor, upstream: Tensor, form: str
) -> tuple[Tensor, Tensor]:
    """Gradients of audio and coefficients."""
    if form == "compiled":
        rows, sections = audio.shape[0] * audio.shape[1], coefficients.shape[1]
        d_audio, d_rows = torch.empty_like(audio), coefficients.new_zeros((rows, sections, 5))
        tensors = (audio, coefficients, checkpoints, upstream, d_audio, d_rows)
        for_rows(loops.adjoint_rows, rows, *(t.detach().numpy() for t in tensors))
        return d_audio, d_rows.unflatten(0, audio.shape[:2]).sum(1)
    signals = _section_signals(audio, coefficients, form)
    gradient, d_coefficients = upstream.to(coefficients.dtype).flip(-1), torch.empty_like(coefficients)
    for s in range(coefficients.shape[1] - 1, -1, -1):
        c = coefficients[:, s]
        adjoint = _section(gradient, _poles_alone(c), form).flip(-1)
        x, y = signals[s], signals[s + 1]
        for k in range(3):
            d_coefficients[:, s, k] = (adjoint * _delayed(x, k)).sum((1, 2))
        for k in (1, 2):
            d_coefficients[:, s, 2 + k] = -(adjoint * _delayed(y, k)).sum((1, 2))
        gradient = _section(gradient, c, form)  # not the adjoint's zeros: where they cancel the poles they would lose digits
    return gradient.flip(-1).to(audio.dtype), d_coefficients


@_biquads_adjoint.register_fake
def _(audio: Tensor, coefficients: Tensor, checkpoints: Tensor, upstream: Tensor, form: str) -> tuple[Tensor, Tensor]:
    return torch.empty_like(audio), torch.empty_like(coefficients)


def _save(ctx: Any, inputs: Any, output: Any) -> None:
    audio, coefficients, ctx.form = inputs
    ctx.save_for_backward(audio, coefficients, output[1])
    ctx.set_materialize_grads(False)


def _backward(ctx: Any, upstream: Tensor | None, _checkpoints: Tensor | None) -> tuple[Any, ...]:
    audio, coefficients, checkpoints = ctx.saved_tensors
    if upstream is None:
        return None, None, None
    upstream = upstream.to(audio.dtype).contiguous()
    return (*_biquads_adjoint(audio, coefficients, checkpoints, upstream, ctx.form), None)


_biquads.register_autograd(_backward, setup_context=_save)


def _delayed(x: Tensor, samples: int) -> Tensor:
    return pad(x, (samples, 0))[..., : x.shape[-1]]


def _poles_alone(coefficients: Tensor) -> Tensor:
    """(items, 5) with the numerator 1."""
    zero = torch.zeros_like(coefficients[:, :2])
    return torch.cat([zero[:, :1] + 1.0, zero, coefficients[:, 3:]], -1)


def _section(x: Tensor, coefficients: Tensor, form: str) -> Tensor:
    if form == "triton":
        from stylefx.differentiable.operators.gpu import recursions

        return recursions.section(x, coefficients)
    return scans.section(x, coefficients)


def _section_signals(audio: Tensor, coefficients: Tensor, form: str) -> list[Tensor]:
    """The input of every section and the output of the last, each (items, channels, n) in the state's precision."""
    signals = [audio.to(coefficients.dtype)]
    for s in range(coefficients.shape[1]):
        signals.append(_section(signals[-1], coefficients[:, s], form))
    return signals
