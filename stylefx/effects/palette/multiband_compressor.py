"""Multiband compressor: a Linkwitz-Riley crossover, one compressor per band, and their sum."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from stylefx.effects.base import Effect, Process, Settings
from stylefx.effects.checks import require_positive
from stylefx.effects.kernels.biquad import clamp_cutoff
from stylefx.effects.kernels.cascade import CascadeProcess
from stylefx.effects.kernels.crossover import band_sections
from stylefx.effects.palette.compressor import Compressor
from stylefx.effects.parameters import Parameter
from stylefx.effects.registry import register
from stylefx.errors import UserError

CROSSOVER_RANGES_HZ = {
    2: ((80.0, 5000.0),),
    3: ((40.0, 600.0), (800.0, 8000.0)),
    4: ((40.0, 250.0), (300.0, 2000.0), (2500.0, 12000.0)),
}


class _MultibandProcess(Process):
    def __init__(self, bands: list[tuple[Process, Process]]):
        self._bands = bands

    def __call__(self, block: np.ndarray) -> np.ndarray:
        total = np.zeros(block.shape)
        for split, compress in self._bands:
            total += compress(split(block))
        return total.astype(np.float32)


@register
class MultibandCompressor(Effect):
    """``num_bands`` (2..4) bands split by Linkwitz-Riley filters of fourth order (see ``crossover``), each compressed on its
    own as in ``compressor`` and summed; with every ratio at 1 the sum is an all-pass.

    Parameters ``crossover<i>_hz``, then per band ``band<i>_`` and the compressor's; float32 (channels, samples), any rate;
    channels linked within a band. Crossovers above 0.9 Nyquist split as they do at 48 kHz (``kernels.low_rate``), and above
    0.9 Nyquist of 48 kHz are rendered there; ``effective`` says so.
    """

    name = "multiband_compressor"

    def __init__(self, num_bands: int = 3):
        if num_bands not in CROSSOVER_RANGES_HZ:
            raise UserError(f"multiband_compressor: num_bands is {num_bands}; give 2, 3 or 4")
        self.num_bands = num_bands
        self.compressor = Compressor()
        crossovers = [
            Parameter(f"crossover{i + 1}_hz", "Hz", low, high, (low * high) ** 0.5, "log")
            for i, (low, high) in enumerate(CROSSOVER_RANGES_HZ[num_bands])
        ]
        bands = [replace(p, name=f"band{i + 1}_{p.name}") for i in range(num_bands) for p in Compressor.parameters]
        self.parameters = (*crossovers, *bands)

    def config(self) -> dict[str, Any]:
        return {"num_bands": self.num_bands}

    def band_settings(self, settings: Settings, band: int) -> dict[str, float]:
        """The compressor settings of one band, counted from 0."""
        prefix = f"band{band + 1}_"
        return {k.removeprefix(prefix): v for k, v in settings.items() if k.startswith(prefix)}

    def crossovers_hz(self, settings: Settings) -> list[float]:
        return [settings[f"crossover{i + 1}_hz"] for i in range(self.num_bands - 1)]

    def validate(self, settings: Settings) -> None:
        require_positive(self.name, settings, *(f"crossover{i + 1}_hz" for i in range(self.num_bands - 1)))
        crossovers = self.crossovers_hz(settings)
        if sorted(crossovers) != crossovers:
            raise UserError(f"multiband_compressor: the crossovers are {crossovers} Hz; give them in ascending order")
        for band in range(self.num_bands):
            try:
                self.compressor.validate(self.band_settings(settings, band))
            except UserError as error:
                raise UserError(f"multiband_compressor, band {band + 1}: {error}") from None

    def effective(self, settings: Settings, sample_rate: float) -> dict[str, float]:
        full = self.complete(settings)
        return {k: clamp_cutoff(v, sample_rate) if k.startswith("crossover") else v for k, v in full.items()}

    def start(self, settings: Settings, sample_rate: float, channels: int) -> Process:
        bands: list[tuple[Process, Process]] = []
        for band, sections in enumerate(band_sections(self.crossovers_hz(settings), sample_rate)):
            compress = self.compressor.start(self.band_settings(settings, band), sample_rate, channels, dtype=np.float64)
            bands.append((CascadeProcess(sections, channels, np.float64), compress))
        return _MultibandProcess(bands)
