"""A causal temporal convolutional network that is told its controls by FiLM.

Steinmetz and Reiss 2022, "Efficient neural networks for real-time modeling of analog dynamic range compression", in the size of
the style-transfer paper: 4 blocks, kernel 13, dilations 1, 8, 64, 512, width 64, PReLU, 1x1 residual; receptive field
1 + 12 (1 + 8 + 64 + 512) = 7021 samples. FiLM: Perez et al. 2018. No batch statistics.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

UNHEARD = 0.02
FILM_START = 0.3  # blocks multiply each other's scales


class _Block(nn.Module):
    """Dilated causal convolution -> FiLM -> PReLU, plus a 1x1 residual. (batch, in, samples) -> (batch, out, samples)."""

    def __init__(self, inputs: int, outputs: int, kernel: int, dilation: int, condition: int):
        super().__init__()
        self.history = (kernel - 1) * dilation
        self.convolution = nn.Conv1d(inputs, outputs, kernel, dilation=dilation)
        self.film = nn.Linear(condition, 2 * outputs)
        self.activation = nn.PReLU(outputs)
        self.residual = nn.Conv1d(inputs, outputs, 1, bias=False)

    def forward(self, x: Tensor, rest: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """``rest`` (batch, in, 1) is x in silence, which is what it was before it began; with the output goes its own."""
        scale, shift = self.film(condition)[:, :, None].chunk(2, dim=1)
        past = rest.expand(-1, -1, self.history)
        y = self.convolution(torch.cat([past, x], dim=2))
        still = F.conv1d(rest, self.convolution.weight.sum(2, keepdim=True), self.convolution.bias)

        def out(convolved: Tensor, residual: Tensor) -> Tensor:
            return self.activation(convolved * (1.0 + scale) + shift) + self.residual(residual)

        return out(y, x), out(still, rest)


class ConditionalTcn(nn.Module):
    """audio (batch, channels, samples), controls (batch, P) in [0, 1] -> audio of the same shape.

    Channels are processed alike and independently. P may be 0 (no conditioning). Silence stays silence: what biases and FiLM's
    shifts make of it is subtracted. A constant is nothing to the ear, yet in silent frames it is all that the logarithm of a
    spectrum sees; its gradient, hundreds of times that of the sound, would rule the training.
    """

    blocks: Sequence[_Block]

    def __init__(
        self, num_controls: int, blocks: int = 4, kernel: int = 13, growth: int = 8, width: int = 64, condition: int = 64
    ):
        super().__init__()
        self.num_controls = num_controls
        self.shape = {"blocks": blocks, "kernel": kernel, "growth": growth, "width": width, "condition": condition}
        sizes = [max(num_controls, 1), condition, condition, condition]
        layers = [layer for a, b in itertools.pairwise(sizes) for layer in (nn.Linear(a, b), nn.ReLU())]
        self.condition = nn.Sequential(*layers)
        parts = (_Block(1 if i == 0 else width, width, kernel, growth**i, condition) for i in range(blocks))
        self.blocks = cast("Sequence[_Block]", nn.ModuleList(parts))
        self.output = nn.Conv1d(width, 1, 1, bias=False)
        self._start_listening()
        self._start_as_identity()

    @torch.no_grad()
    def _start_listening(self) -> None:
        """He's draw for the conditioning, counted in knobs of variance 1/3: by the usual one each layer passes on a sixth of
        the variance, and FiLM hears next to nothing of the knobs."""
        linear = [layer for layer in self.condition if isinstance(layer, nn.Linear)]
        for layer in linear:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            layer.bias.zero_()
        linear[0].weight *= 3.0**0.5
        for block in self.blocks:
            block.film.weight *= FILM_START

    @torch.no_grad()
    def _start_as_identity(self) -> None:
        """Channel 0 begins as a wire through all blocks (its convolution silent, its residual 1), the others begin nearly
        unheard. Nothing is fixed: all of it trains. From the usual draw an effect's own input has to be found first."""
        for block in self.blocks:
            width = block.convolution.out_channels
            for silent in (*block.convolution.parameters(), block.residual.weight):
                silent[0] = 0.0
            block.film.weight[width] = block.film.bias[width] = 0.0  # the shift of channel 0
            block.residual.weight[0, 0, 0] = 1.0
        self.output.weight *= UNHEARD
        self.output.weight[0, 0, 0] = 1.0

    @property
    def receptive_field(self) -> int:
        """Samples of the past, the present one included, that an output sample depends on."""
        return 1 + sum(block.history for block in self.blocks)

    def forward(self, audio: Tensor, controls: Tensor) -> Tensor:
        batch, channels, samples = audio.shape
        knobs = controls * 2.0 - 1.0 if self.num_controls else controls.new_zeros(batch, 1)
        condition = self.condition(knobs.to(audio.dtype)).repeat_interleave(channels, dim=0)
        y = audio.reshape(batch * channels, 1, samples)
        rest = y.new_zeros(len(y), 1, 1)
        for block in self.blocks:
            y, rest = block(y, rest, condition)
        return self.output(y - rest).reshape(batch, channels, samples)


def decibels_to_gain(gain_db: Tensor) -> Tensor:
    return torch.exp(gain_db * (torch.log(torch.tensor(10.0, dtype=gain_db.dtype, device=gain_db.device)) / 20.0))
