"""An exponential moving average of the weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class MovingAverage:
    """``decay`` per step; in the first steps less, min(decay, (1 + n) / (10 + n)), so that the start is forgotten."""

    def __init__(self, model: nn.Module, decay: float):
        self.decay = decay
        self.weights = {name: p.detach().clone() for name, p in model.named_parameters()}

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        decay = min(self.decay, (1 + step) / (10 + step))
        own = dict(model.named_parameters())
        torch._foreach_lerp_(list(self.weights.values()), [own[name] for name in self.weights], 1 - decay)

    def state(self, model: nn.Module) -> dict[str, Tensor]:
        """The model's state with averaged parameters."""
        return model.state_dict() | self.weights

    @contextmanager
    def applied(self, model: nn.Module) -> Iterator[None]:
        """The model with averaged parameters; its own come back afterwards."""
        own = {name: p.detach().clone() for name, p in model.named_parameters()}
        self._load(model, self.weights)
        try:
            yield
        finally:
            self._load(model, own)

    @staticmethod
    @torch.no_grad()
    def _load(model: nn.Module, weights: dict[str, Tensor]) -> None:
        own = dict(model.named_parameters())
        torch._foreach_copy_(list(own.values()), [weights[name] for name in own])
