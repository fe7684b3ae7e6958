"""Differentiable multiband compressor."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from stylefx.differentiable.operators.filtering import filter_sections, in_frequency_domain, worst_padding
from stylefx.differentiable.operators.scans import state_dtype
from stylefx.differentiable.operators.sections import sections_of_band
from stylefx.differentiable.palette.compressor import CompressorTwin
from stylefx.differentiable.registry import Twin, twin_of
from stylefx.effects.kernels.crossover import BUTTERWORTH_Q
from stylefx.effects.palette.multiband_compressor import MultibandCompressor


@twin_of("multiband_compressor")
class MultibandCompressorTwin(Twin):
    """``stylefx.effects.palette.multiband_compressor``: gradients to crossovers and to every band's compressor."""

    effect: MultibandCompressor

    def render(self, audio: Tensor, settings: Mapping[str, Tensor], sample_rate: float, in_range: bool) -> Tensor:
        compressor = CompressorTwin(self.effect.compressor, self.method)
        crossovers = [settings[f"crossover{i + 1}_hz"] for i in range(self.effect.num_bands - 1)]
        worst = (lambda: self._worst(sample_rate)) if in_range else None
        dtype = audio.dtype
        if in_frequency_domain(audio, self.method):
            # The rounding of a single-precision FFT is that of the loudest band, and make-up may lift it in a quiet one.
            audio = audio.to(state_dtype(audio.device))
        highest_hz = [p.maximum if in_range else math.inf for p in self.effect.parameters[: self.effect.num_bands - 1]]
        total = torch.zeros_like(audio)
        for band in range(self.effect.num_bands):
            split = filter_sections(audio, _band_sections(crossovers, band, sample_rate, highest_hz), self.method, worst, reach=2)
            own = {p.name: settings[f"band{band + 1}_{p.name}"] for p in self.effect.compressor.parameters}
            total = total + compressor.render(split, own, sample_rate, in_range)
        return total.to(dtype)

    def _worst(self, sample_rate: float) -> int:
        lowest = min(p.minimum for p in self.effect.parameters if p.name.startswith("crossover"))
        return worst_padding([("low_pass", 0.0, lowest, BUTTERWORTH_Q)], sample_rate)


def _band_sections(crossovers: list[Tensor], band: int, sample_rate: float, highest_hz: Sequence[float]) -> Tensor:
    """Warped sections (items, sections, 6) of one band: the choice of ``stylefx.effects.kernels.crossover.band_sections``."""
    ways = list(zip(crossovers, highest_hz))
    plan = [("high_pass", *way, 2) for way in ways[:band]]
    plan += [("low_pass", *way, 2) for way in ways[band : band + 1]]
    plan += [("all_pass", *way, 1) for way in ways[band + 1 :]]
    rows: list[Tensor] = []
    for kind, cutoff, highest, times in plan:
        zero, q = torch.zeros_like(cutoff), torch.full_like(cutoff, BUTTERWORTH_Q)
        rows += sections_of_band(kind, zero, cutoff, q, sample_rate, highest) * times
    return torch.stack(rows, 1)
