"""Differentiable noise gate."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from stylefx.differentiable.operators.dynamics import curve, off_neutral, peaks, smooth_reduction, smoothing
from stylefx.differentiable.operators.sliding import sliding_maximum
from stylefx.differentiable.palette.gain import amplitude
from stylefx.differentiable.registry import Twin, twin_of
from stylefx.effects.palette.gate import SLOPE


@twin_of("gate")
class GateTwin(Twin):
    """``stylefx.effects.palette.gate``. The hold is a whole number of samples, so its gradient is 0; all others are exact."""

    def render(self, audio: Tensor, settings: Mapping[str, Tensor], sample_rate: float, in_range: bool) -> Tensor:
        s = settings
        window = torch.round(s["hold_ms"].detach() * (1e-3 * sample_rate)).long() + 1
        held = sliding_maximum(peaks(audio), window)
        slope, limit = off_neutral(torch.full_like(s["range_db"], SLOPE), s["range_db"])
        reduction = curve(held, s["threshold_db"], slope, s["knee_db"], limit, sign=-1.0)
        rise, fall = smoothing(s["release_ms"], sample_rate), smoothing(s["attack_ms"], sample_rate)
        smooth = smooth_reduction(reduction, rise, fall, sign=-1.0)
        # A number that depends on hold_ms by nothing: autograd then gives 0, not None.
        return audio * amplitude(0.0 * s["hold_ms"][:, None] - smooth).to(audio.dtype)[:, None]
