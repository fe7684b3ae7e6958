"""Worst errors of the differentiable effects: outputs as further forms of ``exactness``, and gradients in a table of their own.

    python -m tests.benchmarks.exactness --import tests.benchmarks.exactness_torch --forms torch
    python -m tests.benchmarks.exactness_torch [--draws 2000] [--samples 1500] [--effects compressor]

Gradients: of the audio and of every parameter, float32 twins against autograd in float64 through a plain sample loop
(equaliser, compressor, expander) or through the twin itself in float64 (the others, whose values the first table pins).
"""

from __future__ import annotations

import importlib
import platform
from collections.abc import Callable
from unittest import mock

import click
import numpy as np
import torch
from torch import Tensor

from stylefx.differentiable import DifferentiableChain
from stylefx.differentiable.operators import biquads, dynamics
from stylefx.effects.base import Effect
from stylefx.effects.chain import EffectChain
from tests.benchmarks.exactness import form
from tests.differentiable.reference import (
    eq_sections,
    loop_dynamics,
    loop_filter,
    music,
    relative,
    worst_item,
    worst_parameter,
)
from tests.effects.cases import VARIANTS, make

BATCH = 250
FORMS = {"torch recursion, cpu": ("recursive", "cpu", False), "torch frequency, cpu": ("frequency", "cpu", False)}
FORMS["torch scans of other devices, cpu"] = ("recursive", "cpu", True)
if torch.cuda.is_available():
    FORMS["torch, cuda"] = ("auto", "cuda", False)


def run(effect: Effect, chosen: str, call: Callable[[DifferentiableChain, str], Tensor]) -> Tensor:
    """``call(chain, device)`` in one form; the scans of other devices are put in the place of the compiled loops."""
    method, device, scans = FORMS[chosen]
    chain = DifferentiableChain(EffectChain.of(effect), method)
    if not scans:
        return call(chain, device)
    with mock.patch.object(biquads, "default_form", return_value="scan"):
        with mock.patch.object(dynamics, "default_form", return_value="scan"):
            return call(chain, device)


def _add(name: str) -> None:
    @form(name)
    def _(effect: Effect, audio: np.ndarray, settings: dict[str, float], sample_rate: float) -> np.ndarray:
        def call(chain: DifferentiableChain, device: str) -> Tensor:
            with torch.no_grad():
                plain = [{"effect": effect.name, "settings": settings}]
                return chain.render(torch.from_numpy(audio)[None].to(device), plain, sample_rate)

        return run(effect, name, call)[0].cpu().numpy()


for _name in FORMS:
    _add(_name)


def truth(effect: Effect, audio: Tensor, settings: dict[str, Tensor], rate: float) -> Tensor:
    """In float64."""
    if effect.name == "parametric_eq":
        return loop_filter(audio, eq_sections(effect.bands, settings, rate))
    if effect.name in ("compressor", "expander"):
        return loop_dynamics(audio, settings, rate, expander=effect.name == "expander")
    return DifferentiableChain(EffectChain.of(effect)).render(audio, [settings], rate)


def gradient_errors(effect: Effect, chosen: str, draws: int, samples: int) -> tuple[float, float, float]:
    """Worst relative errors over the draws: output, gradient of the audio, gradient of a parameter."""
    worst = (0.0, 0.0, 0.0)
    rate, channels = 24000, 2 if effect.name in ("stereo_width", "pan") else 1
    for start in range(0, draws, BATCH):
        items = min(BATCH, draws - start)
        generator = np.random.default_rng(start)
        values = [[p.from_control(c) for c in generator.uniform(size=items)] for p in effect.parameters]
        values = torch.tensor(values, dtype=torch.float64)
        audio, upstream = (music(items, channels, samples, rate, seed) for seed in (start + 1, start + 2))

        def step(render, device, dtype, audio=audio, values=values, upstream=upstream):
            x, v = audio.to(device, dtype).requires_grad_(), values.to(device).requires_grad_()
            out = render(x, {p.name: row for p, row in zip(effect.parameters, v)})
            grads = torch.autograd.grad((out * upstream.to(device, dtype)).sum(), [x, v])
            return [t.detach().cpu() for t in (out, *grads)]

        expected = step(lambda x, s: truth(effect, x, s, rate), "cpu", torch.float64)
        got = run(effect, chosen, lambda chain, device: step(lambda x, s: chain.render(x, [s], rate), device, torch.float32))
        errors = relative_items(got, expected)
        worst = tuple(max(a, b) for a, b in zip(worst, errors))
    return worst


def relative_items(got: list[Tensor], expected: list[Tensor]) -> tuple[float, float, float]:
    audible = [i for i in range(len(expected[0])) if expected[1][i].norm() > 0]
    if not audible:
        return 0.0, relative(got[1], expected[1]), 0.0
    pairs = [(g[audible], e[audible]) for g, e in zip(got[:2], expected[:2])]
    return worst_item(*pairs[0]), worst_item(*pairs[1]), worst_parameter(got[2][:, audible], expected[2][:, audible])


@click.command()
@click.option("--draws", default=2000, help="seeded draws per effect, variant and form")
@click.option("--samples", default=1500)
@click.option("--effects", default="", help="names, separated by commas (all)")
def main(draws: int, samples: int, effects: str) -> None:
    click.echo(f"{draws} draws per row, {samples} samples at 24 kHz; {platform.machine()}, torch {torch.__version__}\n")
    click.echo("| effect | form, device | output | gradient of audio | worst parameter |\n|---|---|---|---|---|")
    for variant in VARIANTS:
        if effects and variant[0] not in effects.split(","):
            continue
        config = ", ".join(f"{k} {v if not isinstance(v, list) else len(v)}" for k, v in variant[1].items())
        for name in FORMS:
            numbers = gradient_errors(make(variant), name, draws, samples)
            title = f"{variant[0]} ({config})" if config else variant[0]
            click.echo(f"| {title} | {name} | " + " | ".join(f"{n:.1e}" for n in numbers) + " |")


if __name__ == "__main__":
    importlib.import_module("tests.benchmarks.exactness_torch").main()
