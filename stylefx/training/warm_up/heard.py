"""How far one equaliser's curve is from another as it is heard: third octaves at equal loudness, from averages alone."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from stylefx.audio.weighting import k_weighting
from stylefx.models.solver.averages import AveragesEncoder

_LOWEST_HZ, _HIGHEST_HZ = 56.0, 7100.0
_EVERYWHERE = 0.15  # weight of the other bands, and of what a weighting by loudness makes light of
_RATE = 96000.0  # of the K-weighting's filters; bands end at 20 kHz
_LEVEL_DB = 20.0  # a unit of the averages


class HeardDistance(nn.Module):
    """(curve, true curve (batch, points) dB, averages of the input (batch, D)) -> dB (batch,), as P9 measures it and a little
    of the plain difference over all points."""

    weight: Tensor
    counted: Tensor

    def __init__(self, encoder: AveragesEncoder, points: int):
        super().__init__()
        hz = encoder.centres_hz[:points].numpy()
        self.register_buffer("weight", torch.from_numpy(_loudness_weight(hz) * hz).float(), persistent=False)
        counted = (hz > _LOWEST_HZ) & (hz < _HIGHEST_HZ)
        self.register_buffer("counted", torch.from_numpy(counted / counted.sum()).float(), persistent=False)

    def forward(self, curve: Tensor, truth: Tensor, e_input: Tensor) -> Tensor:
        apart = curve - truth
        level = self._loudness(curve, e_input) - self._loudness(truth, e_input)
        heard = ((apart - level).abs() * self.counted).sum(dim=-1)
        return heard + _EVERYWHERE * (apart - apart.mean(dim=-1, keepdim=True)).abs().mean(dim=-1)

    def _loudness(self, curve: Tensor, e_input: Tensor) -> Tensor:
        """Of the input behind an equaliser, up to a constant, dB (batch, 1)."""
        level = e_input[:, : len(self.weight)] * (_LEVEL_DB / 10) + curve.clamp(-60.0, 40.0) / 10
        return 10 * torch.log10((self.weight * torch.pow(10.0, level)).sum(dim=-1, keepdim=True).clamp_min(1e-12))


def _loudness_weight(hz: np.ndarray) -> np.ndarray:
    """The K-weighting's power at these frequencies."""
    b0, b1, b2, a1, a2, d0, d1, d2, e1, e2 = k_weighting(_RATE)
    z = np.exp(-2j * np.pi * hz / _RATE)
    found = (b0 + b1 * z + b2 * z**2) / (1 + a1 * z + a2 * z**2) * (d0 + d1 * z + d2 * z**2) / (1 + e1 * z + e2 * z**2)
    return np.square(np.abs(found))
