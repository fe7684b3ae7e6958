"""Gain."""

from __future__ import annotations

import numpy as np

from stylefx.effects.base import Effect, Process, Settings
from stylefx.effects.parameters import Parameter
from stylefx.effects.registry import register


class ScaleProcess(Process):
    """A fixed matrix on the channels, float32 (channels, channels)."""

    def __init__(self, matrix: np.ndarray):
        self._rows = matrix.astype(np.float32)

    def __call__(self, block: np.ndarray) -> np.ndarray:
        # Written out instead of a matrix product: BLAS may sum in another order for another block length.
        out = self._rows[:, :1] * block[:1]
        for c in range(1, block.shape[0]):
            out += self._rows[:, c : c + 1] * block[c : c + 1]
        return out


@register
class Gain(Effect):
    """y = 10^(gain_db / 20) x; float32 (channels, samples), any rate and number of channels."""

    name = "gain"
    parameters = (Parameter("gain_db", "dB", -48.0, 48.0, 0.0),)

    def start(self, settings: Settings, sample_rate: float, channels: int) -> Process:
        return ScaleProcess(10.0 ** (settings["gain_db"] / 20.0) * np.eye(channels))
