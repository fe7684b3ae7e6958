"""Several heads for one curve, each taught without some of the groups: their mean, and what those groups said of its worth."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from stylefx.models.solver.heads import CurveHead


class CurvePanel(nn.Module):
    """Features (batch, size) -> curve and scale in dB, (batch, points) each: the mean of ``count`` heads.

    ``least_db``: by so much the mean absolute curve is lessened, down to nothing; a head is too sure of itself on recordings that
    it never heard, of small curves above all. ``doubt``: factor of the scale. Both are set by ``calibrate``, from curves that
    heads gave for groups they were not taught with.
    """

    least_db: Tensor
    doubt: Tensor

    def __init__(self, count: int, size: int, points: int, hidden: int, dropout: float):
        super().__init__()
        self.held = False
        self.members = nn.ModuleList(CurveHead(size, points, hidden, dropout) for _ in range(count))
        self.register_buffer("least_db", torch.zeros(()))
        self.register_buffer("doubt", torch.ones(()))

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        found = [member(features) for member in self.members]
        curve, scale = (torch.stack(part).mean(0) for part in zip(*found, strict=True))
        return lessened(curve, self.least_db), self.doubt * scale

    @torch.no_grad()
    def calibrate(self, least_db: float, doubt: float) -> None:
        self.least_db.fill_(least_db)
        self.doubt.fill_(doubt)

    def hold(self) -> None:
        """No more learning: the calibration is that of these weights."""
        self.held = True
        self.requires_grad_(False).train(False)

    def train(self, mode: bool = True) -> CurvePanel:
        return super().train(mode and not self.held)


def lessened(curve: Tensor, by_db: Tensor | float) -> Tensor:
    """Curves (batch, points) whose mean absolute value is smaller by ``by_db``, none below nothing."""
    size = (curve - curve.mean(dim=-1, keepdim=True)).abs().mean(dim=-1, keepdim=True)
    return curve * (1.0 - by_db / size.clamp_min(1e-6)).clamp_min(0.0)
