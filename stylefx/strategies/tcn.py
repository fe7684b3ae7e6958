"""A causal temporal convolutional network that is told its controls by FiLM.

Steinmetz and Reiss 2022, "Efficient neural networks for real-time modeling of analog dynamic range compression", in the size of
the style-transfer paper: 4 blocks, kernel 13, dilations 1, 8, 64, 512, width 64, PReLU, 1x1 residual; receptive field
1 + 12 (1 + 8 + 64 + 512) = 7021 samples. FiLM: Perez et al. 2018. No batch statistics.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class _Block(nn.Module):
    """Dilated causal convolution -> FiLM -> PReLU, plus a 1x1 residual. (batch, in, samples) -> (batch, out, samples)."""

    def __init__(self, inputs: int, outputs: int, kernel: int, dilation: int, condition: int):
        super().__init__()
        self.history = (kernel - 1) * dilation
        self.convolution = nn.Conv1d(inputs, outputs, kernel, dilation=dilation)
        self.film = nn.Linear(condition, 2 * outputs)
        self.activation = nn.PReLU(outputs)
        self.residual = nn.Conv1d(inputs, outputs, 1, bias=False)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        scale, shift = self.film(condition)[:, :, None].chunk(2, dim=1)
        y = self.convolution(F.pad(x, (self.history, 0)))
        return self.activation(y * (1.0 + scale) + shift) + self.residual(x)


class ConditionalTcn(nn.Module):
    """audio (batch, channels, samples), controls (batch, P) in [0, 1] -> audio of the same shape.

    Channels are processed alike and independently. P may be 0 (no conditioning).
    """

    def __init__(self, num_controls: int, blocks: int = 4, kernel: int = 13, growth: int = 8, width: int = 64):
        super().__init__()
        self.num_controls = num_controls
        self.shape = {"blocks": blocks, "kernel": kernel, "growth": growth, "width": width}
        self.condition = nn.Sequential(
            nn.Linear(max(num_controls, 1), 16), nn.ReLU(), nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU()
        )
        self.blocks = nn.ModuleList(_Block(1 if i == 0 else width, width, kernel, growth**i, 32) for i in range(blocks))
        self.output = nn.Conv1d(width, 1, 1)

    @property
    def receptive_field(self) -> int:
        """Samples of the past, the present one included, that an output sample depends on."""
        return 1 + sum(block.history for block in self.blocks)

    def forward(self, audio: Tensor, controls: Tensor) -> Tensor:
        batch, channels, samples = audio.shape
        knobs = controls * 2.0 - 1.0 if self.num_controls else controls.new_zeros(batch, 1)
        condition = self.condition(knobs.to(audio.dtype)).repeat_interleave(channels, dim=0)
        x = audio.reshape(batch * channels, 1, samples)
        y = x
        for block in self.blocks:
            y = block(y, condition)
        return self.output(y).reshape(batch, channels, samples)


def decibels_to_gain(gain_db: Tensor) -> Tensor:
    return torch.exp(gain_db * (torch.log(torch.tensor(10.0, dtype=gain_db.dtype, device=gain_db.device)) / 20.0))
