"""What is wanted of the effects, from two sets of averages: the equaliser's curve, the other controls, and how sure that is."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_CORRECTION_DB = 10.0
_OPEN = 2.0  # logit


class CurveHead(nn.Module):
    """Features of both sides (batch, size) -> curve and scale in dB, (batch, points) each.

    curve = gate x linear map + correction: the map is the best guess, a small network says how much of it to believe, and
    corrects it. ``scale`` is that of a Laplace distribution around the curve.
    """

    def __init__(self, size: int, points: int, hidden: int, dropout: float):
        super().__init__()
        self.guess = nn.Linear(size, points, bias=False)
        self.body = _body(size, hidden, dropout)
        self.gate, self.correction, self.log_scale = (nn.Linear(hidden, points) for _ in range(3))
        with torch.no_grad():
            self.guess.weight.mul_(0.01)
            for layer in (self.gate, self.correction, self.log_scale):
                layer.weight.mul_(0.05)
                layer.bias.zero_()
            self.gate.bias.fill_(_OPEN)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.body(features)
        curve = torch.sigmoid(self.gate(hidden)) * self.guess(features) + _CORRECTION_DB * self.correction(hidden)
        return curve, torch.exp(self.log_scale(hidden).clamp(-4.0, 4.0))

    @torch.no_grad()
    def fit_guess(self, features: Tensor, curves: Tensor, penalty: float) -> None:
        """The linear map by ridge regression, in closed form; features (items, size), curves (items, points) dB."""
        x = features.double()
        gram = x.T @ x + penalty * torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
        weights = torch.linalg.solve(gram, x.T @ curves.double())
        self.guess.weight.copy_(weights.T / torch.sigmoid(torch.tensor(_OPEN)))


class ControlHead(nn.Module):
    """Features (batch, size) -> offsets of logits (batch, controls), nothing at the start."""

    def __init__(self, size: int, controls: int, hidden: int, dropout: float):
        super().__init__()
        self.body, self.last = _body(size, hidden, dropout), _linear(hidden, controls)
        self.past = _linear(size, controls, bias=False)
        with torch.no_grad():
            self.last.weight.mul_(0.1)
            self.last.bias.zero_()
            self.past.weight.mul_(0.01)

    def forward(self, features: Tensor) -> Tensor:
        return self.last(self.body(features)) + self.past(features)


def _linear(size: int, controls: int, bias: bool = True) -> nn.Linear:
    """A layer that may have no outputs (the chain is an equaliser alone): initialising none is what torch warns of."""
    layer = nn.Linear(size, max(controls, 1), bias=bias)
    if not controls:
        layer.out_features = 0
        for name, values in list(layer.named_parameters()):
            setattr(layer, name, nn.Parameter(values.detach()[:0]))
    return layer


def _body(size: int, hidden: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(nn.Linear(size, hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden, hidden), nn.GELU())
