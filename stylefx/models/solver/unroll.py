"""A learned solver: which controls of an equaliser make a wanted curve. It sees the exact response after every step."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from stylefx.models.solver.response import EqualiserResponse

_CURVE_DB, _RESIDUAL_DB, _LOGIT = 10.0, 5.0, 3.0  # sizes of what the networks read


def without_mean(curve: Tensor, weight: Tensor | None = None) -> Tensor:
    """Curves (batch, points) without their (weighted) mean: an equaliser's constant gain is for others to set."""
    if weight is None:
        return curve - curve.mean(dim=-1, keepdim=True)
    return curve - (curve * weight).sum(dim=-1, keepdim=True) / weight.sum(dim=-1, keepdim=True).clamp_min(1e-6)


class UnrolledSolver(nn.Module):
    """Curves in dB (batch, points), their mean of no account -> logits of the equaliser's controls (batch, controls).

    A first guess from the curve, then ``steps`` corrections, each from what is still missing; one network makes them all.
    ``start`` (controls,) are the logits of the neutral settings.
    """

    start: Tensor

    def __init__(self, response: EqualiserResponse, start: Tensor, steps: int = 3, hidden: int = 256):
        super().__init__()
        self.response, self.steps = response, steps
        points, controls = len(response.cosine), response.num_controls
        self.register_buffer("start", start.clone(), persistent=False)
        self.guess = _network(points, hidden, controls)
        self.update = _network(2 * points + controls, hidden, controls)
        with torch.no_grad():
            cast("nn.Linear", self.update[-1]).weight.mul_(0.1)

    def forward(self, wanted: Tensor) -> Tensor:
        wanted = without_mean(wanted)
        logits = self.start + self.guess(wanted / _CURVE_DB)
        for _ in range(self.steps):
            missing = wanted - without_mean(self.response(torch.sigmoid(logits)))
            logits = logits + self.update(torch.cat([missing / _RESIDUAL_DB, wanted / _CURVE_DB, logits / _LOGIT], dim=-1))
        return logits


def _network(size: int, hidden: int, out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(size, hidden), nn.GELU(), nn.Linear(hidden, hidden), nn.GELU(), nn.Linear(hidden, out)
    )  # fmt: skip
