"""cTCN1, cTCN2: no effects at all; conditional TCNs, one or two in series, learned together with the model.

The baselines of the paper. The controls are a plain conditioning vector here: they have no physical meaning.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from stylefx.effects.chain import EffectChain
from stylefx.strategies.base import Strategy
from stylefx.strategies.tcn import ConditionalTcn


class _EndToEnd(Strategy):
    """``network``: blocks, kernel, growth and width of each TCN."""

    networks: int

    def __init__(self, chain: EffectChain, sample_rate: float, network: dict[str, int] | None = None):
        super().__init__(chain, sample_rate)
        self.tcns = nn.ModuleList(ConditionalTcn(chain.num_controls, **(network or {})) for _ in range(self.networks))

    @property
    def renders_settings(self) -> bool:
        return False

    def options(self) -> dict[str, Any]:
        return {"network": self.tcns[0].shape}

    def forward(self, audio: Tensor, controls: Tensor, sample_rate: float) -> Tensor:
        for tcn in self.tcns:
            audio = tcn(audio, controls)
        return audio


class ConditionalTcn1(_EndToEnd):
    """cTCN1: one network."""

    name = "ctcn1"
    networks = 1


class ConditionalTcn2(_EndToEnd):
    """cTCN2: two networks in series."""

    name = "ctcn2"
    networks = 2
