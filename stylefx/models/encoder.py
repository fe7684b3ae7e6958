"""What an encoder is, and the map that the convolutional encoders start from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from stylefx.models.features import Dynamics, LogBands, average_spectrum, mid_side, standardise_db


class Encoder(nn.Module, ABC):
    """Audio (batch, channels, samples) at ``sample_rate`` Hz -> embedding (batch, ``embedding_size``).

    ``options()`` returns the constructor's arguments as plain data.
    """

    name: ClassVar[str]
    #: peak memory of a training step, effects and loss included, in copies of the batch's input audio (measured on a CPU)
    memory_copies: ClassVar[float]
    embedding_size: int

    @abstractmethod
    def forward(self, audio: Tensor, sample_rate: float) -> Tensor: ...

    def pool(self, embeddings: Tensor, share: Tensor) -> Tensor:
        """Embeddings of windows (n, D), shares (n,) of sum 1 -> that of them all: the weighted mean with the mean length of its
        members, so that what is normalised stays normalised."""
        share = share.to(embeddings).unsqueeze(1)
        mean = (share * embeddings).sum(0)
        length = (share * embeddings.norm(dim=1, keepdim=True)).sum()
        return mean * (length / mean.norm().clamp_min(1e-12))

    @abstractmethod
    def options(self) -> dict[str, Any]: ...


class BandMap(nn.Module):
    """Audio (batch, channels, samples) -> (map (batch, 4, bands, frames), averages (batch, ``average_size``)).

    Channels of the map: mid level, side level, frequency coordinate (-1 at the lowest band, 1 at the highest), and whether
    the band exists at this rate. Averages: ``average_spectrum`` of mid and side, ``Dynamics`` of mid. Mono audio has a side
    at the floor.
    """

    channels = 4
    coordinate: Tensor

    def __init__(self, num_bands: int, hop_s: float):
        super().__init__()
        self.bands, self.dynamics = LogBands(num_bands, hop_s=hop_s), Dynamics()
        self.average_size = 6 * num_bands + Dynamics.size
        self.register_buffer("coordinate", torch.linspace(-1, 1, num_bands), persistent=False)

    def forward(self, audio: Tensor, sample_rate: float) -> tuple[Tensor, Tensor]:
        with torch.autocast(audio.device.type, enabled=False):
            mid, side = mid_side(audio.float())
            mid_power = self.bands.power(mid, sample_rate)
            side_power = torch.zeros_like(mid_power) if side is None else self.bands.power(side, sample_rate)
            level = standardise_db(mid_power)
            exists = self.bands.exists(sample_rate, audio.device)
            rows = [level, standardise_db(side_power)]
            rows += [row[None, :, None].expand_as(level) for row in (self.coordinate, exists)]
            averages = [average_spectrum(mid_power), average_spectrum(side_power), self.dynamics(mid, sample_rate)]
            return torch.stack(rows, dim=1), torch.cat(averages, dim=1)


def pool_time(x: Tensor) -> Tensor:
    """(batch, channels, bands, frames) -> (batch, 2 x channels x bands): mean and spread over time, frequency kept."""
    x = x.float()
    mean = x.mean(dim=-1)
    spread = (x - mean[..., None]).square().mean(dim=-1).add(1e-5).sqrt()
    return torch.cat([mean, spread], dim=1).flatten(1)
