"""Differentiable downward expander."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from stylefx.differentiable.operators.dynamics import dynamics, smoothing
from stylefx.differentiable.registry import Twin, twin_of


@twin_of("expander")
class ExpanderTwin(Twin):
    """``stylefx.effects.palette.expander`` with gradients to all its parameters and the audio. The attack opens: there the
    reduction falls."""

    def render(self, audio: Tensor, settings: Mapping[str, Tensor], sample_rate: float, in_range: bool) -> Tensor:
        law = torch.stack(
            [
                settings["threshold_db"],
                settings["ratio"] - 1.0,
                settings["knee_db"],
                settings["range_db"],
                smoothing(settings["release_ms"], sample_rate),
                smoothing(settings["attack_ms"], sample_rate),
                settings["makeup_gain_db"],
            ],
            -1,
        )
        return dynamics(audio, law, sign=-1.0)
