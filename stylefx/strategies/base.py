"""How the loss reaches the parameters: one interface, many strategies (Steinmetz, Bryan, Reiss 2022, section 3).

A strategy is a module ``forward(audio, controls, sample_rate) -> audio`` with a defined gradient to the controls. What the
forward pass renders may differ between training and evaluation (``module.train()`` and ``module.eval()``).
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from typing import Any, ClassVar

from torch import Tensor, nn

from stylefx.effects.chain import EffectChain
from stylefx.errors import UserError, first_line
from stylefx.nearest import did_you_mean


class Strategy(nn.Module, ABC):
    """Base class. ``chain`` gives the meaning of the controls; ``sample_rate`` in Hz is the rate of training.

    ``options()`` returns plain data from which ``make_strategy`` builds the same strategy again; tensors travel in the
    state dict.
    """

    name: ClassVar[str]

    def __init__(self, chain: EffectChain, sample_rate: float):
        super().__init__()
        self.chain = chain
        self.sample_rate = float(sample_rate)

    @abstractmethod
    def forward(self, audio: Tensor, controls: Tensor, sample_rate: float) -> Tensor:
        """audio (batch, channels, samples) and controls (batch, num_controls) in [0, 1] -> audio of the same shape."""

    def options(self) -> dict[str, Any]:
        return {}

    @property
    def renders_settings(self) -> bool:
        """Whether the evaluation output is the real effects' render, so that the settings mean what they say."""
        return True


_MODULES = {
    "ad": "stylefx.strategies.autodiff:Autodiff",
    "spsa": "stylefx.strategies.spsa:Spsa",
    "np": "stylefx.strategies.neural_proxy:NeuralProxy",
    "np-hh": "stylefx.strategies.neural_proxy:NeuralProxyHalfHybrid",
    "np-fh": "stylefx.strategies.neural_proxy:NeuralProxyFullHybrid",
    "ctcn1": "stylefx.strategies.end_to_end:ConditionalTcn1",
    "ctcn2": "stylefx.strategies.end_to_end:ConditionalTcn2",
}


def strategy_names() -> list[str]:
    return list(_MODULES)


def make_strategy(name: str, chain: EffectChain, sample_rate: float, **options: Any) -> Strategy:
    """The strategy ``name`` for a chain; UserError for an unknown name or an option that it does not take."""
    if name not in _MODULES:
        raise UserError(f"there is no strategy {name!r}{did_you_mean(name, _MODULES)} (known: {', '.join(_MODULES)})")
    module, cls = _MODULES[name].split(":")
    strategy_class = getattr(importlib.import_module(module), cls)
    try:
        return strategy_class(chain, sample_rate, **options)
    except TypeError as error:
        raise UserError(f"strategy {name!r} does not take these options: {first_line(error)}") from error
