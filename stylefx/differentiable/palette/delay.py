"""Differentiable feedback delay: its transfer function is known, so no loop over time is needed."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from stylefx.differentiable.operators.contour import filter_on_contour
from stylefx.differentiable.operators.mixing import blend
from stylefx.differentiable.registry import Twin, twin_of
from stylefx.effects.palette.delay import MINIMUM_SAMPLES


@twin_of("delay")
class DelayTwin(Twin):
    """``stylefx.effects.palette.delay``: H = 1 + mix (L / (1 - feedback L) - 1), L the interpolated delay times the damping.

    The gradient of time_ms is that of the interpolation between the samples.
    """

    def render(self, audio: Tensor, settings: Mapping[str, Tensor], sample_rate: float, in_range: bool) -> Tensor:
        samples = (settings["time_ms"] * (1e-3 * sample_rate)).clamp(min=MINIMUM_SAMPLES)
        feedback = settings["feedback"][:, None]
        pole = torch.exp(-2.0 * math.pi / sample_rate * settings["damping_hz"])[:, None]
        whole = samples.detach().floor()
        taps = _lagrange(samples - whole)

        def transfer(log_magnitude: Tensor, angle: Tensor) -> Tensor:
            def delayed(by: Tensor) -> Tensor:
                return torch.polar(torch.exp(-by * log_magnitude).expand(-1, len(angle)), -by * angle)

            one = torch.ones_like(angle)[:1]
            loop = sum(tap[:, None] * delayed(whole[:, None] + (k - 1)) for k, tap in enumerate(taps))
            loop = loop * (1.0 - pole) / (1.0 - pole * delayed(one[None]))
            return loop / (1.0 - feedback * loop)

        return blend(audio, filter_on_contour(audio, transfer), settings["mix"])


def _lagrange(fraction: Tensor) -> tuple[Tensor, ...]:
    """Third-order weights of four neighbouring samples for a delay of 1 + fraction."""
    d = 1.0 + fraction
    return (
        -(d - 1.0) * (d - 2.0) * (d - 3.0) / 6.0,
        d * (d - 2.0) * (d - 3.0) / 2.0,
        -d * (d - 1.0) * (d - 3.0) / 2.0,
        d * (d - 1.0) * (d - 2.0) / 6.0,
    )
