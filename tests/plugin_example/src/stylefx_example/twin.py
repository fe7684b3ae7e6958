"""The tremolo with gradients: loaded only where a model is trained through it."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from stylefx.differentiable.registry import Twin


class TremoloTwin(Twin):
    """Gradients to rate, depth and audio."""

    def render(self, audio: Tensor, settings: Mapping[str, Tensor], sample_rate: float, in_range: bool) -> Tensor:
        rate, depth = settings["rate_hz"][:, None], settings["depth"][:, None]
        n = torch.arange(audio.shape[-1], device=audio.device, dtype=rate.dtype)
        gain = 1 - depth * (0.5 - 0.5 * torch.cos(2 * math.pi / sample_rate * rate * n))
        return audio * gain[:, None].to(audio.dtype)
