"""What a chain's equalisers do at fixed frequencies, exactly and with gradients, without any audio."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from stylefx.differentiable import DifferentiableChain
from stylefx.differentiable.registry import make_twin
from stylefx.effects.chain import EffectChain


class EqualiserResponse(nn.Module):
    """Controls of the equalisers (batch, ``num_controls``) -> their gain in dB at ``frequencies_hz``, (batch, points) float32.

    Every effect whose twin states its second-order sections counts (``Twin.sections``), any number of bands; ``controls``
    are their places in the chain's control vector. A chain without any has ``num_controls`` 0.
    """

    cosine: Tensor
    sine: Tensor

    def __init__(self, chain: EffectChain, frequencies_hz: Tensor, sample_rate: float):
        super().__init__()
        self.sample_rate, twins, first = float(sample_rate), [], 0
        places: list[int] = []
        equalisers = []
        for slot in chain.slots:
            twin, count = make_twin(slot.effect), len(slot.effect.parameters)
            if hasattr(twin, "sections") and not slot.bypass and slot.mix == 1.0:
                twins.append(twin)
                equalisers.append(slot.effect)
                places += range(first, first + count)
            first += count
        self._twins, self.controls = twins, places
        self._settings = DifferentiableChain(EffectChain.of(*equalisers)).settings
        half = math.pi / self.sample_rate * frequencies_hz.double()
        self.register_buffer("cosine", half.cos(), persistent=False)
        self.register_buffer("sine", half.sin(), persistent=False)

    @property
    def num_controls(self) -> int:
        return len(self.controls)

    def forward(self, controls: Tensor) -> Tensor:
        return self.exact(controls).float()

    def exact(self, controls: Tensor) -> Tensor:
        """The same in the precision of the sections, float64 where the device has it."""
        total = torch.zeros(controls.shape[0], len(self.cosine), dtype=self.cosine.dtype, device=controls.device)
        for twin, values in zip(self._twins, self._settings(controls), strict=True):
            total = total + section_gain_db(twin.sections(values, self.sample_rate, in_range=True), self.cosine, self.sine).sum(1)
        return total


def section_gain_db(sections: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Warped sections (batch, sections, 6), cosine and sine of w / 2 (points,) -> gain in dB (batch, sections, points)."""
    n0, n1, n2, d0, d1, d2 = (c[..., None] for c in sections.to(cosine.dtype).unbind(-1))
    cc, ss, sc = cosine * cosine, sine * sine, sine * cosine
    above = (n0 * cc - n2 * ss).square() + (n1 * sc).square()
    below = (d0 * cc - d2 * ss).square() + (d1 * sc).square()
    return (10.0 / math.log(10.0)) * (torch.log(above + 1e-20 * below) - torch.log(below))
