"""``base``: the default, about five million parameters with its controller."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from stylefx.models.encoder import BandMap, Encoder, pool_time


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions beside a 1 x 1; (batch, c, bands, frames) -> (batch, c', bands / stride, frames / stride)."""

    def __init__(self, channels_in: int, channels_out: int, stride: tuple[int, int]):
        super().__init__()
        self.first = nn.Conv2d(channels_in, channels_out, 3, stride, padding=1, bias=False)
        self.second = nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False)
        self.norms = nn.ModuleList([nn.GroupNorm(8, channels_out) for _ in range(2)])
        self.skip = nn.Conv2d(channels_in, channels_out, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.norms[0](self.first(x)))
        return torch.relu(self.skip(x) + self.norms[1](self.second(y)))


class Envelope(nn.Module):
    """Level and peak on a 2.5 ms hop (batch, 2, blocks) -> (batch, 2 x width): a small convolutional reading of attacks."""

    def __init__(self, width: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv1d(2, width // 2, 9, 2, padding=4), nn.GroupNorm(4, width // 2), nn.ReLU(),
            nn.Conv1d(width // 2, width, 9, 4, padding=4), nn.GroupNorm(4, width), nn.ReLU(),
            nn.Conv1d(width, width, 9, 4, padding=4), nn.ReLU(),
        )  # fmt: skip

    def forward(self, blocks: Tensor) -> Tensor:
        return pool_time(self.layers(blocks)[:, :, None])


class BaseEncoder(Encoder):
    """Residual convolutions over 128 log-spaced bands, an envelope branch, the average spectrum and dynamics.

    (batch, channels, samples) -> (batch, 512). ``use`` names the branches that take part (for ablations): "map", "averages",
    "envelope"; ``coordinate`` false blanks the frequency coordinate; ``pool_frequency`` true averages over frequency too.
    """

    name = "base"
    memory_copies = 32
    branches = ("map", "averages", "envelope")

    def __init__(
        self,
        embedding_size: int = 512,
        num_bands: int = 128,
        width: int = 24,
        use: tuple[str, ...] | list[str] = branches,
        coordinate: bool = True,
        pool_frequency: bool = False,
    ):
        super().__init__()
        if not use or not set(use) <= set(self.branches):
            raise ValueError(f"use is {list(use)}; choose among {', '.join(self.branches)}")
        self.embedding_size, self.num_bands, self.width = embedding_size, num_bands, width
        self.use, self.coordinate, self.pool_frequency = tuple(use), coordinate, pool_frequency
        self.map = BandMap(num_bands, hop_s=1024 / 24000)
        if "map" in use:
            self.convolutions = nn.Sequential(
                nn.Conv2d(BandMap.channels, width, 3, (2, 2), padding=1, bias=False), nn.GroupNorm(8, width), nn.ReLU(),
                ResidualBlock(width, 2 * width, (2, 2)),
                ResidualBlock(2 * width, 4 * width, (2, 2)),
                ResidualBlock(4 * width, 7 * width // 8 * 8, (1, 2)),
            )  # fmt: skip
            self.convolutions.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's own stub forgot it
            rows = 1 if pool_frequency else -(-num_bands // 8)
            self.from_map = nn.Linear(2 * (7 * width // 8 * 8) * rows, embedding_size)
        if "averages" in use:
            self.from_averages = nn.Sequential(nn.Linear(self.map.average_size, 512), nn.ReLU(), nn.Linear(512, embedding_size))
            self.direct = nn.Linear(self.map.average_size, embedding_size)
        if "envelope" in use:
            self.envelope = Envelope(64)
            self.from_envelope = nn.Linear(128, embedding_size)
        self.norm = nn.LayerNorm(embedding_size)

    def forward(self, audio: Tensor, sample_rate: float) -> Tensor:
        picture, averages = self.map(audio, sample_rate)
        parts = []
        if "map" in self.use:
            if not self.coordinate:
                picture = torch.cat([picture[:, :2], torch.zeros_like(picture[:, 2:3]), picture[:, 3:]], dim=1)
            x = self.convolutions(picture.contiguous(memory_format=torch.channels_last))  # a quarter less time
            parts.append(self.from_map(pool_time(x.mean(dim=2, keepdim=True) if self.pool_frequency else x)))
        if "averages" in self.use:
            parts += [self.from_averages(averages), self.direct(averages)]
        if "envelope" in self.use:
            with torch.autocast(audio.device.type, enabled=False):
                blocks = torch.stack(self.map.dynamics.blocks(audio.float().mean(dim=1), sample_rate), dim=1)
            parts.append(self.from_envelope(self.envelope(blocks)))
        return self.norm(torch.stack([p.float() for p in parts]).sum(dim=0))

    def options(self) -> dict[str, Any]:
        return {
            "embedding_size": self.embedding_size,
            "num_bands": self.num_bands,
            "width": self.width,
            "use": list(self.use),
            "coordinate": self.coordinate,
            "pool_frequency": self.pool_frequency,
        }
