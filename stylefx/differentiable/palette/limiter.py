"""Differentiable look-ahead limiter."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import pad

from stylefx.differentiable.operators.dynamics import curve, peaks, smooth_reduction, smoothing
from stylefx.differentiable.operators.sliding import sliding_maximum
from stylefx.differentiable.palette.gain import amplitude
from stylefx.differentiable.registry import Twin, twin_of
from stylefx.effects.palette.limiter import Limiter, boxes


@twin_of("limiter")
class LimiterTwin(Twin):
    """``stylefx.effects.palette.limiter``. The ceiling clips what rounding leaves above it; the gradient passes through
    that clip, which moves no sample by more than a rounding."""

    effect: Limiter

    def render(self, audio: Tensor, settings: Mapping[str, Tensor], sample_rate: float, in_range: bool) -> Tensor:
        gain, ceiling = settings["gain_db"], settings["ceiling_db"]
        ahead = self.effect.lookahead(sample_rate)
        one, zero = torch.ones_like(gain), torch.zeros_like(gain)
        held = sliding_maximum(peaks(pad(audio, (0, ahead))), ahead + 1)
        reduction = curve(held, ceiling - gain, one, zero, torch.full_like(gain, torch.inf), sign=1.0)
        smooth = smooth_reduction(reduction, one, smoothing(settings["release_ms"], sample_rate), sign=1.0)
        for box in boxes(ahead):
            smooth = _moving_average(smooth, box)
        out = audio * amplitude(gain[:, None] - smooth[:, ahead:]).to(audio.dtype)[:, None]
        limit = amplitude(ceiling).to(audio.dtype)[:, None, None].detach()
        return out + (torch.minimum(torch.maximum(out, -limit), limit) - out).detach()


def _moving_average(values: Tensor, box: int) -> Tensor:
    """Mean of the last ``box`` values, zeros before the start; values (items, n) in the state's precision."""
    sums = torch.cumsum(values, -1)
    return (sums - pad(sums[..., :-box], (box, 0))) / box
