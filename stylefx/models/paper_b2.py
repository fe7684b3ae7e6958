"""``paper-b2``: the paper's encoder, for reproduction (Steinmetz, Bryan, Reiss 2022)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from stylefx.models.efficientnet import EfficientNet
from stylefx.models.encoder import Encoder

_MEAN, _DEVIATION = 0.32297, 0.278452


class PaperB2Encoder(Encoder):
    """STFT 4096/2048, |X|^0.3 standardised, EfficientNet-B2, averaged over frequency and time, 1024-d of length 1.

    (batch, channels, samples) -> (batch, 1024); the channels are averaged. It has batch normalisation, and its rows are
    bins, so it belongs to the rate it was trained at.
    """

    name = "paper-b2"
    memory_copies = 1700
    embedding_size = 1024
    window: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.trunk = EfficientNet(width=1.1, depth=1.2)
        self.project = nn.Linear(self.trunk.channels, self.embedding_size)
        self.register_buffer("window", torch.hann_window(4096), persistent=False)

    def spectrogram(self, audio: Tensor) -> Tensor:
        """(batch, channels, samples) -> (batch, 1, 2049, frames)"""
        with torch.autocast(audio.device.type, enabled=False):
            mono = audio.float().mean(dim=1)
            if mono.shape[-1] <= 2048:  # too short to reflect
                mono = nn.functional.pad(mono, (0, 2049 - mono.shape[-1]))
            spectrum = torch.stft(mono, 4096, 2048, window=self.window, return_complex=True)
            power = spectrum.real.square() + spectrum.imag.square()
            return ((power + 1e-16).pow(0.15) - _MEAN)[:, None] / _DEVIATION

    def forward(self, audio: Tensor, sample_rate: float) -> Tensor:
        pooled = self.trunk(self.spectrogram(audio)).mean(dim=(2, 3))
        return nn.functional.normalize(self.project(pooled).float(), dim=-1)

    def options(self) -> dict[str, Any]:
        return {}
