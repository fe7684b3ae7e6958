"""An encoder: level and brightness of a recording, as little as an encoder can hear."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from stylefx.models.encoder import Encoder


class LoudnessEncoder(Encoder):
    """Audio (batch, channels, samples) -> (batch, 2)."""

    name = "loudness"
    memory_copies = 3.0
    embedding_size = 2

    def __init__(self, floor: float = 1e-5):
        super().__init__()
        self.floor = floor

    def forward(self, audio: Tensor, sample_rate: float) -> Tensor:
        mono = audio.mean(1)
        level = mono.square().mean(-1).sqrt()
        change = (mono.diff(dim=-1) * sample_rate / 48000).square().mean(-1).sqrt()
        return torch.stack([level, change], -1).clamp_min(self.floor).log()

    def options(self) -> dict[str, Any]:
        return {"floor": self.floor}
