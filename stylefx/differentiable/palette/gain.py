"""Differentiable gain."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from stylefx.differentiable.registry import Twin, twin_of


def amplitude(gain_db: Tensor) -> Tensor:
    """10^(gain_db / 20)."""
    return torch.exp(gain_db * (math.log(10.0) / 20.0))


@twin_of("gain")
class GainTwin(Twin):
    """``stylefx.effects.palette.gain``."""

    def render(self, audio: Tensor, settings: Mapping[str, Tensor], sample_rate: float, in_range: bool) -> Tensor:
        return audio * amplitude(settings["gain_db"]).to(audio.dtype)[:, None, None]
