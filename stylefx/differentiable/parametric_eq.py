"""Differentiable parametric equaliser: prototypes in float64, filtered by recursion or in the frequency domain."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from functools import lru_cache

import torch
from torch import Tensor

from stylefx.differentiable.operators.biquads import biquads
from stylefx.differentiable.operators.frequency import TIME_CONSTANTS, fft_length, filter_spectrum
from stylefx.differentiable.operators.sections import digital_coefficients, slowest_time_constant, warped_sections
from stylefx.differentiable.registry import Twin, twin_of
from stylefx.effects.biquad import clamp_cutoff, prototype
from stylefx.effects.parametric_eq import ParametricEq

MAX_PADDING = 1 << 17  # samples of zeros beyond which the recursion is the better choice, unless the audio is longer


@twin_of("parametric_eq")
class ParametricEqTwin(Twin):
    """Bands in series (``stylefx.effects.parametric_eq``), any number and kind, each channel alike."""

    effect: ParametricEq

    def render(self, audio: Tensor, settings: Mapping[str, Tensor], sample_rate: float, in_range: bool) -> Tensor:
        sections = band_sections(self.effect, settings, sample_rate)
        return filter_sections(audio, sections, self.method, self._padding(sections, sample_rate, in_range))

    def _padding(self, sections: Tensor, sample_rate: float, in_range: bool) -> int | None:
        """Samples of zeros that the frequency domain needs; None where it is not wanted."""
        if self.method == "recursive" or (self.method == "auto" and sections.device.type == "cpu"):
            return None
        # Reading the poles would make the host wait for the device, so there the ranges decide.
        if in_range and (sections.device.type != "cpu" or torch.compiler.is_compiling()):
            return worst_padding(tuple(self.effect.bands), tuple(self.effect.parameters), sample_rate)
        return padding(sections)


def filter_sections(audio: Tensor, sections: Tensor, method: str, zeros: int | None) -> Tensor:
    """Filter by warped sections (items, sections, 6); in the frequency domain when that needs not too many ``zeros``."""
    samples = audio.shape[-1]
    if zeros is None or zeros > max(MAX_PADDING, samples):
        return biquads(audio, digital_coefficients(sections))
    return filter_spectrum(audio, sections, fft_length(samples + zeros))


def padding(sections: Tensor) -> int:
    """Samples after which the response of warped sections has died away (reads from the device)."""
    return int(TIME_CONSTANTS * slowest_time_constant(sections.detach()).item()) + 1


def band_sections(effect: ParametricEq, settings: Mapping[str, Tensor], sample_rate: float) -> Tensor:
    """Warped sections (items, bands, 6) of the equaliser; bands of one kind are computed together."""
    kinds: dict[str, list[int]] = {}
    for i, (_, kind, _, _) in enumerate(effect.bands):
        kinds.setdefault(kind, []).append(i)
    rows, order = [], []
    for kind, members in kinds.items():
        names = [effect.bands[i][0] for i in members]
        cutoff, q = (torch.stack([settings[f"{n}_{unit}"] for n in names], -1) for unit in ("cutoff_hz", "q"))
        gains = [settings.get(f"{n}_gain_db") for n in names]
        gain = torch.zeros_like(q) if gains[0] is None else torch.stack(gains, -1)
        rows.append(warped_sections(kind, gain, cutoff, q, sample_rate))
        order += members
    inverse = sorted(range(len(order)), key=order.__getitem__)
    return torch.cat(rows, 1)[:, inverse]


@lru_cache(maxsize=64)
def worst_padding(bands: tuple, parameters: tuple, sample_rate: float) -> int:
    """``padding`` of the slowest settings within the parameters' ranges. In plain numbers, which a tracer sees as constants."""
    ranges = {p.name: (p.minimum, p.maximum) for p in parameters}
    slowest = 0.0
    for name, kind, _, _ in bands:
        corners = itertools.product(ranges.get(f"{name}_gain_db", (0.0,)), ranges[f"{name}_cutoff_hz"], ranges[f"{name}_q"])
        for gain_db, cutoff_hz, q in corners:
            k = math.tan(math.pi * clamp_cutoff(cutoff_hz, sample_rate) / sample_rate)
            d2, d1, d0 = (c * p for c, p in zip(prototype(kind, gain_db, q)[1], (1.0, k, k * k)))
            inside = d1 * d1 - 4.0 * d0 * d2
            if inside < 0.0:
                log_radius = 0.5 * math.log1p(-2.0 * d1 / (d0 + d1 + d2))
            else:
                log_radius = math.log1p(-(2.0 * min(d0, d2) + 4.0 * d0 * d2 / (d1 + math.sqrt(inside))) / (d0 + d1 + d2))
            slowest = max(slowest, -1.0 / log_radius)
    return int(TIME_CONSTANTS * slowest) + 1
