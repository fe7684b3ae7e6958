"""How far each control could be otherwise: of an equaliser from the scale of its curve, of the rest from thinned networks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from stylefx.models.solver.response import EqualiserResponse
from stylefx.models.solver.unroll import without_mean

EVEN = 0.29  # standard deviation of a control of which nothing is known
_STEP = 0.02
_COPIES = 16


@dataclass(frozen=True)
class Belief:
    """Of one prediction: the curve that is wanted of the equaliser and its scale, dB (points,) at ``points_hz``; the deviation of
    every control (num_controls,), in controls."""

    points_hz: Tensor
    curve_db: Tensor
    scale_db: Tensor
    spread: Tensor


def equaliser_spread(response: EqualiserResponse, controls: Tensor, scale_db: Tensor) -> Tensor:
    """Controls of the equaliser (n,), scale of the curve (points,) -> deviations (n,): how far a control moves, the others
    held, until the curve has moved by its scale (root mean square)."""
    steps = _STEP * torch.eye(len(controls), dtype=controls.dtype, device=controls.device)
    sides = [(controls + s * steps).clamp(0, 1) for s in (1, -1)]
    moved = without_mean(response(sides[0]) - response(sides[1]))
    way = (sides[0] - sides[1]).diagonal()
    slope = moved.square().mean(-1).sqrt() / way.clamp_min(1e-6)
    return (scale_db.square().mean().sqrt() / slope.clamp_min(1e-6)).clamp(max=EVEN)


@torch.no_grad()
def thinned_spread(head: nn.Module, features: Tensor, start: Tensor) -> Tensor:
    """Deviations (n,) of the controls that a head sets when parts of it are left out, as in training (Y. Gal, Z. Ghahramani,
    ICML 2016); features (1, size), ``start`` (n,) the neutral logits. The same for equal features."""
    with _thinning(head):
        logits = start + head(features.expand(_COPIES, -1))
    return torch.sigmoid(logits).std(0).clamp(max=EVEN)


@contextmanager
def _thinning(head: nn.Module) -> Iterator[None]:
    was = head.training
    devices = [features.device for features in head.parameters() if features.device.type == "cuda"][:1]
    with torch.random.fork_rng(devices):
        torch.manual_seed(0)
        head.train()
        try:
            yield
        finally:
            head.train(was)
