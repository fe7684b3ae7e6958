"""Curves of equalisers that are not ours, drawn: shelves, bells, telephone-like band passes, and nothing at all."""

from __future__ import annotations

import math

import torch
from torch import Tensor

_SIZES_DB = (3.0, 6.0, 9.0, 12.0, 24.0)
_NOTHING, _BAND_PASS = 0.15, 0.12
_BELLS = 3


class CurveDraws:
    """Curves in dB (n, points) at ``points_hz``; a sequence that the seed decides."""

    def __init__(self, points_hz: Tensor, seed: int):
        self.hz = points_hz.float()[None]
        self.octaves = torch.log2(self.hz)
        self.generator = torch.Generator().manual_seed(seed)

    def uniform(self, count: int, low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(count, 1, generator=self.generator)

    def chance(self, count: int, probability: float) -> Tensor:
        """Float (count, 1), 1 with the probability."""
        return (self.uniform(count, 0, 1) < probability).float()

    def __call__(self, count: int) -> Tensor:
        size = torch.tensor(_SIZES_DB)[torch.randint(0, len(_SIZES_DB), (count, 1), generator=self.generator)]
        curve = self._shelf(count, size, (60, 500), -1.0) + self._shelf(count, size, (1500, 9000), 1.0)
        for _ in range(_BELLS):
            curve = curve + self.chance(count, 0.45) * self._bell(count, size, (100, 12000), (0.25, 1.3))
        band = self.chance(count, _BAND_PASS)
        curve = band * self._band_pass(count) + (1 - band) * curve
        return curve * self.chance(count, 1 - _NOTHING)

    def rough(self, count: int) -> Tensor:
        """As spectra of two recordings differ: slow and fast random curves on top of a drawn one."""
        size = self.uniform(count, 0, 1)
        return self(count) + size * (self.smooth(count, 6.0) + self.smooth(count, 3.0, 25))

    def smooth(self, count: int, deviation_db: float, knots: int = 9) -> Tensor:
        """Slow random curves, as microphones and rooms differ by."""
        heights = deviation_db * torch.randn(count, knots, generator=self.generator)
        points = self.hz.shape[1]
        place = torch.linspace(0, knots - 1 - 1e-3, points)
        left = place.long()
        share = place - left
        share = share * share * (3 - 2 * share)
        return heights[:, left] * (1 - share) + heights[:, left + 1] * share

    def _signed(self, count: int) -> Tensor:
        """0.25 to 1, up or down."""
        return self.uniform(count, 0.25, 1) * (1 - 2 * self.chance(count, 0.5))

    def _cutoff(self, count: int, range_hz: tuple[float, float]) -> Tensor:
        """In octaves above 1 Hz."""
        return self.uniform(count, math.log2(range_hz[0]), math.log2(range_hz[1]))

    def _shelf(self, count: int, size: Tensor, range_hz: tuple[float, float], side: float) -> Tensor:
        steepness = self.uniform(count, 1.4, 3.0)
        gain = size * self._signed(count) * self.chance(count, 0.75)
        return gain * torch.sigmoid(side * steepness * (self.octaves - self._cutoff(count, range_hz)))

    def _bell(self, count: int, size: Tensor, range_hz: tuple[float, float], width: tuple[float, float]) -> Tensor:
        away = (self.octaves - self._cutoff(count, range_hz)) / self.uniform(count, *width)
        return size.clamp_max(12.0) * self._signed(count) / (1 + away.square())

    def _band_pass(self, count: int) -> Tensor:
        """Two slopes of 6 to 18 dB an octave and a hump between them."""
        order = self.uniform(count, 2, 6)
        low, high = 2 ** self._cutoff(count, (100, 500)), 2 ** self._cutoff(count, (2200, 9000))
        slopes = -10 * torch.log10(1 + (low / self.hz) ** order) - 10 * torch.log10(1 + (self.hz / high) ** order)
        hump = self.uniform(count, 0, 10) / (1 + (self.octaves - self._cutoff(count, (800, 2500))).square())
        return (slopes + hump).clamp_min(-50.0)
