"""EfficientNet (Tan and Le 2019), the convolutional trunk, written for one input channel.

B0's stages, widened and deepened by the two factors of a variant; B2 is width 1.1, depth 1.2.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

# expansion, kernel, stride, channels, repeats of B0 (the paper's table 1)
_STAGES = (
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)


def scaled_channels(channels: int, width: float) -> int:
    """The nearest multiple of 8, never more than 10 % below."""
    wanted = channels * width
    rounded = max(8, int(wanted + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * wanted else rounded


def _convolution(channels_in: int, channels_out: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(channels_out, eps=1e-3, momentum=0.01),
    )


class SqueezeExcite(nn.Module):
    """Scale each channel by what the whole picture says; (batch, c, h, w) -> the same shape."""

    def __init__(self, channels: int, squeezed: int):
        super().__init__()
        self.reduce, self.expand = nn.Conv2d(channels, squeezed, 1), nn.Conv2d(squeezed, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        scale = nn.functional.silu(self.reduce(x.mean(dim=(2, 3), keepdim=True)))
        return x * torch.sigmoid(self.expand(scale))


class InvertedResidual(nn.Module):
    """Expand, depthwise, squeeze-excite, project (MBConv); a skip where the shape stays."""

    def __init__(self, channels_in: int, channels_out: int, expansion: int, kernel: int, stride: int):
        super().__init__()
        inner = channels_in * expansion
        layers: list[nn.Module] = []
        if expansion != 1:
            layers += [_convolution(channels_in, inner, 1), nn.SiLU()]
        layers += [_convolution(inner, inner, kernel, stride, groups=inner), nn.SiLU()]
        layers += [SqueezeExcite(inner, max(1, channels_in // 4)), _convolution(inner, channels_out, 1)]
        self.layers = nn.Sequential(*layers)
        self.skips = stride == 1 and channels_in == channels_out

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x) if self.skips else self.layers(x)


class EfficientNet(nn.Module):
    """(batch, 1, height, width) -> (batch, ``channels``, height / 32, width / 32)."""

    def __init__(self, width: float = 1.1, depth: float = 1.2):
        super().__init__()
        channels = scaled_channels(32, width)
        layers: list[nn.Module] = [_convolution(1, channels, 3, 2), nn.SiLU()]
        for expansion, kernel, stride, out, repeats in _STAGES:
            out = scaled_channels(out, width)
            for i in range(math.ceil(repeats * depth)):
                layers.append(InvertedResidual(channels, out, expansion, kernel, stride if i == 0 else 1))
                channels = out
        self.channels = scaled_channels(1280, width)
        layers += [_convolution(channels, self.channels, 1), nn.SiLU()]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)
