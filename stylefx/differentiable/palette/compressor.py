"""Differentiable compressor."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from stylefx.differentiable.operators.dynamics import dynamics, smoothing
from stylefx.differentiable.registry import Twin, twin_of


@twin_of("compressor")
class CompressorTwin(Twin):
    """``stylefx.effects.palette.compressor`` with gradients to threshold, ratio, attack, release, knee, make-up and the audio."""

    def render(self, audio: Tensor, settings: Mapping[str, Tensor], sample_rate: float, in_range: bool) -> Tensor:
        law = torch.stack(
            [
                settings["threshold_db"],
                1.0 - 1.0 / settings["ratio"],
                settings["knee_db"],
                torch.full_like(settings["ratio"], torch.inf),
                smoothing(settings["attack_ms"], sample_rate),
                smoothing(settings["release_ms"], sample_rate),
                settings["makeup_gain_db"],
            ],
            -1,
        )
        return dynamics(audio, law, sign=1.0)
