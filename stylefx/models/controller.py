"""From two embeddings to the controls of the effects."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from stylefx.effects.chain import EffectChain
from stylefx.models.encoder import Encoder


class Controller(nn.Module):
    """Embeddings of input and reference, (batch, D) each -> controls (batch, num_controls) in (0, 1).

    An MLP with LeakyReLU 0.01 and a sigmoid. It starts at the chain's neutral settings: the last layer's weights are nearly
    zero and its bias is the logit of the default controls (kept 0.05 away from the ends, where a sigmoid hardly moves).
    ``difference`` feeds e_reference - e_input too; ``shortcut`` adds a linear map past the hidden layers.

    It knows one answer and no intents.
    """

    name = "mlp"
    intents: tuple[str, ...] = ()

    def __init__(
        self,
        encoder: Encoder,
        chain: EffectChain,
        sample_rate: float,
        hidden: int = 256,
        difference: bool = True,
        shortcut: bool = True,
    ):
        super().__init__()
        embedding_size, default_controls = encoder.embedding_size, chain.default_controls
        self.hidden, self.difference, self.shortcut = hidden, difference, shortcut
        size = (3 if difference else 2) * embedding_size
        self.layers = nn.Sequential(
            nn.Linear(size, hidden),
            nn.LeakyReLU(0.01),
            nn.Linear(hidden, hidden),
            nn.LeakyReLU(0.01),
        )
        self.last = nn.Linear(hidden, len(default_controls))
        self.past = nn.Linear(size, len(default_controls), bias=False) if shortcut else None
        start = np.clip(default_controls, 0.05, 0.95)
        with torch.no_grad():
            if self.past is not None:
                self.past.weight.mul_(0.01)
            self.last.weight.mul_(0.01)
            self.last.bias.copy_(torch.as_tensor(np.log(start / (1 - start)), dtype=torch.float32))

    def forward(self, e_input: Tensor, e_reference: Tensor, intent: Tensor | None = None) -> Tensor:
        parts = [e_input, e_reference] + ([e_reference - e_input] if self.difference else [])
        both = torch.cat(parts, dim=-1)
        logits = self.last(self.layers(both))
        return torch.sigmoid((logits if self.past is None else logits + self.past(both)).float())

    def options(self) -> dict[str, Any]:
        return {"name": self.name, "hidden": self.hidden, "difference": self.difference, "shortcut": self.shortcut}
