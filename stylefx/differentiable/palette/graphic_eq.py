"""Differentiable graphic equaliser: the interaction is a fixed matrix, so knobs have gradients through it."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from stylefx.differentiable.operators.filtering import filter_sections, worst_padding
from stylefx.differentiable.operators.sections import warped_sections
from stylefx.differentiable.registry import Twin, twin_of
from stylefx.effects.palette.graphic_eq import GraphicEq


@twin_of("graphic_eq")
class GraphicEqTwin(Twin):
    """``stylefx.effects.palette.graphic_eq``; bands above 0.9 Nyquist are left out there and have gradient 0 here."""

    effect: GraphicEq

    def __init__(self, effect: GraphicEq, method: str = "auto"):
        super().__init__(effect, method)
        self._on_device: dict[tuple[float, torch.device], tuple[Tensor, Tensor]] = {}

    def render(self, audio: Tensor, settings: Mapping[str, Tensor], sample_rate: float, in_range: bool) -> Tensor:
        sections = self.sections(settings, sample_rate)
        return filter_sections(audio, sections, self.method, (lambda: self._worst(sample_rate)) if in_range else None)

    def sections(self, settings: Mapping[str, Tensor], sample_rate: float, in_range: bool = False) -> Tensor:
        """Warped sections (items, active bands, 6); the centres are the same whatever the settings."""
        active = self.effect.num_active(sample_rate)
        knobs = torch.stack([settings[p.name] for p in self.effect.parameters[:active]], -1)
        for p in self.effect.parameters[active:]:
            knobs = knobs + 0.0 * settings[p.name][:, None]  # gradient 0, where without a trace it would be None
        solution, centres = self._constants(sample_rate, knobs)
        gains = knobs @ solution.mT
        centres = centres.expand_as(gains)
        return warped_sections("peak", gains, centres, torch.full_like(gains, self.effect.q), sample_rate)

    def _constants(self, sample_rate: float, like: Tensor) -> tuple[Tensor, Tensor]:
        """The solution (active, active) and the centres in Hz, copied to the device once."""
        key = (sample_rate, like.device)
        if key not in self._on_device:
            arrays = self.effect.solution(sample_rate), self.effect.centres_hz[: self.effect.num_active(sample_rate)]
            with torch.inference_mode(False):  # whoever trains later may use them too
                solution, centres = (torch.as_tensor(a, dtype=like.dtype, device=like.device) for a in arrays)
            self._on_device[key] = solution, centres
        return self._on_device[key]

    def _worst(self, sample_rate: float) -> int:
        """No knob position gives a peak more than the largest absolute row sum of the solution times the largest knob."""
        knob_db = max(abs(bound) for p in self.effect.parameters for bound in (p.minimum, p.maximum))
        peak_db = knob_db * max(sum(abs(float(v)) for v in row) for row in self.effect.solution(sample_rate).tolist())
        return worst_padding([("peak", peak_db, f, self.effect.q) for f in self.effect.centres_hz[:1]], sample_rate)
