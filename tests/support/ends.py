"""Gradients where finite differences have one side only: at the ends of every parameter's range, and at its default.

The differences are of the float64 references (sample loops, scipy), three values on one side. Inside the range's upper end
either side is right, as an interpolated delay has a kink there.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from stylefx.differentiable import DifferentiableChain
from stylefx.differentiable.operators import biquads, dynamics
from stylefx.effects.base import Effect
from stylefx.effects.chain import EffectChain
from stylefx.effects.parameters import Parameter
from tests.support.effect_references import REFERENCES, programme

SMALL, SMOOTH = 2e-8, 1e-4  # steps, of the parameter's value or of 1; references with filters are smooth, and round more


def force_form(monkeypatch, form: str) -> None:
    """Every operator in this form, whatever the device."""
    for module in (biquads, dynamics):
        monkeypatch.setattr(module, "default_form", lambda tensor: form)


def corners(effect: Effect) -> Iterator[tuple[Parameter, dict[str, float]]]:
    """Each parameter at its lowest, highest and default value, the others at their defaults and in the middle."""
    middle = {p.name: p.from_control(0.45) for p in effect.parameters}
    for others in (effect.complete({}), middle):
        for p in effect.parameters:
            for value in dict.fromkeys((p.minimum, p.default, p.maximum)):
                yield p, others | {p.name: value}


def disagreements(effect: Effect, rate: float, samples: int = 500, channels: int = 2) -> list[str]:
    """Where the gradient is neither of the one-sided differences; one line for each."""
    audio = programme(np.random.default_rng(4), channels, 4096)[:, 512 : 512 + samples].astype(np.float64)
    audio *= 0.9 / np.abs(audio).max()
    upstream = np.random.default_rng(5).standard_normal(audio.shape)
    cases = list(corners(effect))
    names = [p.name for p in effect.parameters]
    leaves = {n: torch.tensor([s[n] for _, s in cases], dtype=torch.float64, requires_grad=True) for n in names}
    batch = torch.tensor(audio).expand(len(cases), -1, -1)
    out = DifferentiableChain(EffectChain.of(effect), "recursive").render(batch, [leaves], rate)
    total = (out * torch.tensor(upstream)).sum()
    gradients = dict(zip(names, torch.autograd.grad(total, list(leaves.values()))))
    found = []
    for i, (p, settings) in enumerate(cases):
        ours, sides = gradients[p.name][i].item(), []
        for sign in (1.0, -1.0)[: 1 if settings[p.name] == p.minimum else 2]:
            sides.append(_difference(effect, audio, settings, p.name, upstream, rate, sign))
        scale = np.abs(upstream * audio).sum() / max(abs(settings[p.name]), 1.0)
        if min(abs(ours - side) - 1e-4 * abs(side) for side in sides) > 1e-8 * scale:
            found.append(f"{effect.name}.{p.name} at {settings[p.name]:g}: {ours:.6e}, differences {sides} ({settings})")
    return found


def _difference(
    effect: Effect, audio: np.ndarray, settings: dict[str, float], name: str, upstream: np.ndarray, rate: float, sign: float
) -> float:
    step = SMOOTH if effect.name in ("parametric_eq", "graphic_eq", "saturation") else SMALL
    h = sign * step * max(abs(settings[name]), 1.0)

    def value(steps: float) -> np.ndarray:
        return REFERENCES[effect.name](effect, audio, settings | {name: settings[name] + steps * h}, rate)

    # Differences of the outputs before the sum: the sum's own rounding would be divided by the step.
    first = value(0.0)
    return float((upstream * (4.0 * (value(1.0) - first) - (value(2.0) - first))).sum() / (2.0 * h))
