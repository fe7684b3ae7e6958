"""Worst errors of the differentiable effects: outputs as further forms of ``exactness``, and gradients in a table of their own.

    python -m benchmarks.exactness --import benchmarks.exactness_torch --forms torch
    python -m benchmarks.exactness_torch [--draws 2000] [--samples 1500] [--effects compressor]

Gradients: of the audio and of every parameter, float32 twins against autograd in float64 through a plain sample loop
(equaliser, compressor, expander) or through the twin itself in float64 (the others, whose values the first table pins). A
parameter's gradient is that of its control, so that hertz and decibels compare; ``scales`` says what its error is relative to.
"""

from __future__ import annotations

import importlib
import math
import platform
from collections.abc import Callable
from unittest import mock

import click
import numpy as np
import torch
from torch import Tensor

from benchmarks.exactness import form
from stylefx.differentiable import DifferentiableChain
from stylefx.differentiable.operators import biquads, dynamics
from stylefx.effects.base import Effect
from stylefx.effects.chain import EffectChain
from tests.support.effect_cases import VARIANTS, make
from tests.support.twin_references import eq_sections, loop_dynamics, loop_filter, music, worst_item

BATCH = 250
RATE = 48000  # where no band is held: those have tests of their own, against the filter at 48 kHz
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


def gradient_errors(effect: Effect, forms: list[str], draws: int, samples: int) -> dict[str, tuple[float, float, float]]:
    """Per form the worst relative errors over the draws: output, gradient of the audio, gradient of a parameter."""
    audible = {name: [0.0, 0.0] for name in forms}
    rows: dict[str, list[Tensor]] = {name: [] for name in ("truth", "size", *forms)}
    for start in range(0, draws, BATCH):
        audio, upstream, values, slopes = _draw(effect, min(BATCH, draws - start), samples, start)

        def step(render, device, dtype, audio=audio, values=values, upstream=upstream):
            x, v = audio.to(device, dtype).requires_grad_(), values.to(device).requires_grad_()
            out = render(x, {p.name: row for p, row in zip(effect.parameters, v)})
            grads = torch.autograd.grad((out * upstream.to(device, dtype)).sum(), [x, v])
            return [t.detach().cpu() for t in (out, *grads)]

        expected = step(lambda x, s: truth(effect, x, s, RATE), "cpu", torch.float64)
        rows["truth"].append(expected[2] * slopes)
        rows["size"].append((audio.double().norm(dim=(1, 2)) * upstream.double().norm(dim=(1, 2)))[None])
        for name in forms:
            got = run(effect, name, lambda chain, device: step(lambda x, s: chain.render(x, [s], RATE), device, torch.float32))
            rows[name].append(got[2] * slopes)
            heard = expected[1].flatten(1).norm(dim=1) > 0
            for i in range(2 if heard.any() else 0):
                audible[name][i] = max(audible[name][i], worst_item(got[i][heard], expected[i][heard]))
    table = {name: torch.cat(parts, 1) for name, parts in rows.items()}
    scale = scales(table["truth"], table["size"])
    return {n: (*audible[n], ((table[n] - table["truth"]).abs() / scale).max().item()) for n in forms}


def _draw(effect: Effect, items: int, samples: int, seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Audio, upstream gradient, values (parameters, items), and the slopes of the values over the controls."""
    controls = np.random.default_rng(seed).uniform(size=(len(effect.parameters), items))
    pairs = list(zip(effect.parameters, controls, strict=True))
    values = torch.tensor([[p.from_control(c) for c in row] for p, row in pairs], dtype=torch.float64)
    slopes = [
        v * math.log(p.maximum / p.minimum) if p.scale == "log" else torch.full_like(v, p.maximum - p.minimum)
        for p, v in zip(effect.parameters, values, strict=True)
    ]
    channels = 2 if effect.name in ("stereo_width", "pan") else 1
    audio, upstream = (music(items, channels, samples, RATE, seed + i) for i in (1, 2))
    return audio, upstream, values, torch.stack(slopes)


def scales(truths: Tensor, sizes: Tensor) -> Tensor:
    """What an error of a parameter's gradient is compared with, (parameters, draws), in units of the controls: that gradient,
    but at least 1 % of the draw's whole gradient, 1 % of what is usual (the median) for this parameter and signals of these
    sizes (norm of the audio times norm of the upstream gradient), and 1e-8 of that size, which is less than what rounding the
    output to single precision does. Where a sum has happened to cancel, or a state has decayed to 1e-100, an
    error relative to the rest measures the luck, not the arithmetic."""
    usual = (truths.abs() / sizes).median(1, keepdim=True).values * sizes
    floor = torch.maximum(1e-2 * torch.maximum(truths.norm(dim=0), usual), 1e-8 * sizes)
    return torch.maximum(truths.abs(), floor).clamp(min=1e-300)


def forms_of(effect: Effect) -> list[str]:
    """Those that differ: an effect without filters has no frequency form, one without recursions no scans."""
    left_out = set()
    if effect.name not in ("parametric_eq", "graphic_eq", "multiband_compressor", "saturation"):
        left_out.add("torch frequency, cpu")
    if effect.name in ("gain", "stereo_width", "pan", "delay"):
        left_out.add("torch scans of other devices, cpu")
    return [name for name in FORMS if name not in left_out]


@click.command()
@click.option("--draws", default=2000, help="seeded draws per effect, variant and form")
@click.option("--samples", default=1500)
@click.option("--effects", default="", help="names, separated by commas (all)")
@click.option("--forms", default="", help="beginnings of names of forms, separated by commas (all)")
def main(draws: int, samples: int, effects: str, forms: str) -> None:
    click.echo(f"{draws} draws per row, {samples} samples at 24 kHz; {platform.machine()}, torch {torch.__version__}\n")
    click.echo("| effect | form, device | output | gradient of audio | worst parameter |\n|---|---|---|---|---|")
    for variant in VARIANTS:
        if effects and variant[0] not in effects.split(","):
            continue
        config = ", ".join(f"{k} {v if not isinstance(v, list) else len(v)}" for k, v in variant[1].items())
        title, effect = f"{variant[0]} ({config})" if config else variant[0], make(variant)
        chosen = [n for n in forms_of(effect) if n.startswith(tuple(forms.split(",")))]
        for name, numbers in gradient_errors(effect, chosen, draws, samples).items():
            click.echo(f"| {title} | {name} | " + " | ".join(f"{n:.1e}" for n in numbers) + " |")


if __name__ == "__main__":
    importlib.import_module("benchmarks.exactness_torch").main()
