"""``tiny``: about one million parameters, for CPUs."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from stylefx.models.encoder import BandMap, Encoder, pool_time


class TinyEncoder(Encoder):
    """Four strided convolutions over 80 log-spaced bands, pooled over time; beside them the average spectrum and dynamics,
    through a small network and directly (an equaliser is nearly linear in them, and learns in fewer steps this way).

    (batch, channels, samples) -> (batch, 256). Group normalisation sees one item at a time, so an embedding does not depend
    on the rest of the batch.
    """

    name = "tiny"
    memory_copies = 26

    def __init__(self, embedding_size: int = 256, num_bands: int = 80, width: int = 24):
        super().__init__()
        self.embedding_size, self.num_bands, self.width = embedding_size, num_bands, width
        self.map = BandMap(num_bands, hop_s=1024 / 24000)
        channels = [BandMap.channels, width, 2 * width, 4 * width, 4 * width]
        strides = [(2, 2), (2, 2), (2, 2), (1, 1)]
        layers: list[nn.Module] = []
        for i, stride in enumerate(strides):
            layers += [
                nn.Conv2d(channels[i], channels[i + 1], 3, stride, padding=1),
                nn.GroupNorm(8, channels[i + 1]),
                nn.ReLU(),
            ]
        self.convolutions = nn.Sequential(*layers)
        rows = -(-num_bands // 8)
        self.from_map = nn.Linear(2 * channels[-1] * rows, embedding_size)
        self.from_averages = nn.Sequential(nn.Linear(self.map.average_size, 256), nn.ReLU(), nn.Linear(256, embedding_size))
        self.direct = nn.Linear(self.map.average_size, embedding_size)
        self.norm = nn.LayerNorm(embedding_size)

    def forward(self, audio: Tensor, sample_rate: float) -> Tensor:
        picture, averages = self.map(audio, sample_rate)
        pooled = pool_time(self.convolutions(picture))
        parts = self.from_map(pooled) + self.from_averages(averages) + self.direct(averages)
        return self.norm(parts.float())

    def options(self) -> dict[str, Any]:
        return {"embedding_size": self.embedding_size, "num_bands": self.num_bands, "width": self.width}
