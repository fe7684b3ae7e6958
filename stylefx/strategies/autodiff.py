"""AD: the effects in torch, exact gradients, and the same effects at inference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stylefx.differentiable import DifferentiableChain
from stylefx.effects.chain import EffectChain
from stylefx.strategies.base import Strategy

if TYPE_CHECKING:
    from torch import Tensor


class Autodiff(Strategy):
    """``method``: "recursive", "frequency" or "auto" (see ``DifferentiableChain``)."""

    name = "ad"

    def __init__(self, chain: EffectChain, sample_rate: float, method: str = "auto"):
        super().__init__(chain, sample_rate)
        self.method = method
        self.effects = DifferentiableChain(chain, method=method)

    def forward(self, audio: Tensor, controls: Tensor, sample_rate: float) -> Tensor:
        return self.effects(audio, controls, sample_rate)

    def options(self) -> dict[str, Any]:
        return {"method": self.method}
