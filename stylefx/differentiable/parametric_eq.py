"""Differentiable parametric equaliser: prototypes in float64, filtered by recursion or in the frequency domain."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import torch
from torch import Tensor

from stylefx.differentiable.operators.filtering import filter_sections, worst_padding
from stylefx.differentiable.operators.sections import warped_sections
from stylefx.differentiable.registry import Twin, twin_of
from stylefx.effects.parametric_eq import ParametricEq


@twin_of("parametric_eq")
class ParametricEqTwin(Twin):
    """Bands in series (``stylefx.effects.parametric_eq``), any number and kind, each channel alike."""

    effect: ParametricEq

    def render(self, audio: Tensor, settings: Mapping[str, Tensor], sample_rate: float, in_range: bool) -> Tensor:
        sections = band_sections(self.effect, settings, sample_rate)
        worst = (lambda: range_padding(self.effect, sample_rate)) if in_range else None
        return filter_sections(audio, sections, self.method, worst)


def band_sections(effect: ParametricEq, settings: Mapping[str, Tensor], sample_rate: float) -> Tensor:
    """Warped sections (items, bands, 6) of the equaliser; bands of one kind are computed together."""
    kinds: dict[str, list[int]] = {}
    for i, (_, kind, _, _) in enumerate(effect.bands):
        kinds.setdefault(kind, []).append(i)
    in_order: dict[int, Tensor] = {}
    for kind, members in kinds.items():
        names = [effect.bands[i][0] for i in members]
        cutoff, q = (torch.stack([settings[f"{n}_{unit}"] for n in names], -1) for unit in ("cutoff_hz", "q"))
        gains = [settings.get(f"{n}_gain_db") for n in names]
        gain = torch.zeros_like(q) if gains[0] is None else torch.stack(gains, -1)
        in_order |= zip(members, warped_sections(kind, gain, cutoff, q, sample_rate).unbind(1))
    return torch.stack([in_order[i] for i in range(len(effect.bands))], 1)


def range_padding(effect: ParametricEq, sample_rate: float) -> int:
    """The zeros that the slowest settings within the parameters' ranges need."""
    ranges = {p.name: (p.minimum, p.maximum) for p in effect.parameters}
    corners = []
    for name, kind, _, _ in effect.bands:
        gains, cutoffs = ranges.get(f"{name}_gain_db", (0.0,)), ranges[f"{name}_cutoff_hz"]
        corners += [(kind, *corner) for corner in itertools.product(gains, cutoffs, ranges[f"{name}_q"])]
    return worst_padding(corners, sample_rate)
