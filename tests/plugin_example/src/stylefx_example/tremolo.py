"""An effect: NumPy, any block length gives the same samples. Its form with gradients stands in twin.py."""

from __future__ import annotations

import numpy as np

from stylefx.effects.base import Effect, Process, Settings
from stylefx.effects.checks import require_positive, require_within
from stylefx.effects.parameters import Parameter


class _TremoloProcess(Process):
    def __init__(self, turns_per_sample: float, depth: float):
        self._turns_per_sample, self._depth, self._position = turns_per_sample, depth, 0

    def __call__(self, block: np.ndarray) -> np.ndarray:
        n = self._position + np.arange(block.shape[1])
        self._position += block.shape[1]
        dip = 0.5 - 0.5 * np.cos(2 * np.pi * self._turns_per_sample * n)
        return (block * (1 - self._depth * dip)).astype(np.float32)


class Tremolo(Effect):
    """A cosine on the gain; float32 (channels, samples), any rate."""

    name = "example_tremolo"
    twin = "stylefx_example.twin:TremoloTwin"
    parameters = (Parameter("rate_hz", "Hz", 0.5, 20.0, 5.0, "log"), Parameter("depth", "", 0.0, 1.0, 0.0))

    def validate(self, settings: Settings) -> None:
        require_positive(self.name, settings, "rate_hz")
        require_within(self.name, settings, 0.0, 1.0, "depth")

    def start(self, settings: Settings, sample_rate: float, channels: int) -> Process:
        return _TremoloProcess(settings["rate_hz"] / sample_rate, settings["depth"])
