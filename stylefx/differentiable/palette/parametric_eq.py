"""Differentiable parametric equaliser: prototypes in float64, filtered by recursion or in the frequency domain."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping

import torch
from torch import Tensor

from stylefx.differentiable.operators.filtering import filter_sections, worst_padding
from stylefx.differentiable.operators.sections import may_be_beyond, sections_of_band
from stylefx.differentiable.registry import Twin, twin_of
from stylefx.effects.palette.parametric_eq import ParametricEq


@twin_of("parametric_eq")
class ParametricEqTwin(Twin):
    """Bands in series (``stylefx.effects.palette.parametric_eq``), any number and kind, each channel alike."""

    effect: ParametricEq

    def render(self, audio: Tensor, settings: Mapping[str, Tensor], sample_rate: float, in_range: bool) -> Tensor:
        sections = self.sections(settings, sample_rate, in_range)
        worst = (lambda: range_padding(self.effect, sample_rate)) if in_range else None
        return filter_sections(audio, sections, self.method, worst)

    def sections(self, settings: Mapping[str, Tensor], sample_rate: float, in_range: bool = False) -> Tensor:
        """Warped sections (items, sections, 6)."""
        return band_sections(self.effect, settings, sample_rate, in_range)


def band_sections(effect: ParametricEq, settings: Mapping[str, Tensor], sample_rate: float, in_range: bool = False) -> Tensor:
    """Warped sections (items, sections, 6) of the equaliser; bands of one kind are computed together."""
    kinds: dict[tuple[str, bool], list[int]] = {}
    for i, (name, kind, _, high_hz) in enumerate(effect.bands):
        beyond = may_be_beyond(settings[f"{name}_cutoff_hz"], sample_rate, high_hz if in_range else math.inf)
        kinds.setdefault((kind, beyond), []).append(i)
    in_order: dict[int, tuple[Tensor, ...]] = {}
    for (kind, beyond), members in kinds.items():
        names = [effect.bands[i][0] for i in members]
        cutoff, q = (torch.stack([settings[f"{n}_{unit}"] for n in names], -1) for unit in ("cutoff_hz", "q"))
        gains = [settings[f"{n}_gain_db"] for n in names if f"{n}_gain_db" in settings]
        gain = torch.stack(gains, -1) if gains else torch.zeros_like(q)
        sections = sections_of_band(kind, gain, cutoff, q, sample_rate, math.inf if beyond else 0.0)
        in_order |= zip(members, zip(*(s.unbind(1) for s in sections)))
    return torch.stack([section for i in range(len(effect.bands)) for section in in_order[i]], 1)


def range_padding(effect: ParametricEq, sample_rate: float) -> int:
    """The zeros that the slowest settings within the parameters' ranges need."""
    ranges = {p.name: (p.minimum, p.maximum) for p in effect.parameters}
    corners = []
    for name, kind, _, _ in effect.bands:
        gains, cutoffs = ranges.get(f"{name}_gain_db", (0.0,)), ranges[f"{name}_cutoff_hz"]
        corners += [(kind, *corner) for corner in itertools.product(gains, cutoffs, ranges[f"{name}_q"])]
    return worst_padding(corners, sample_rate)
