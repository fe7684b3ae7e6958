"""Worst error of every effect against its independent float64 reference: over seeded draws from the ranges, and in the corners.

    python -m benchmarks.exactness [--draws 2000] [--effects compressor,expander] [--forms numpy] [--samples 16384]

Error = RMS of the difference over RMS of the reference. A form is one way to render an effect; ``FORMS`` lists them: add
one with ``@form("name, device")`` in this file or in a module named with --import.
"""

from __future__ import annotations

import importlib
import platform
from collections.abc import Callable, Iterator

import click
import numpy as np

from stylefx.effects.base import Effect
from tests.support.effect_cases import RATES, VARIANTS, corners, make
from tests.support.effect_references import REFERENCES, draw, programme, relative_rms

# (effect, audio float32 (channels, samples), settings, sample rate) -> audio, or None where the form has no such effect.
Render = Callable[[Effect, np.ndarray, dict[str, float], float], np.ndarray | None]
FORMS: dict[str, Render] = {}


def form(name: str) -> Callable[[Render], Render]:
    """Decorator: measure this way of rendering too."""

    def add(render: Render) -> Render:
        FORMS[name] = render
        return render

    return add


@form("numpy, cpu")
def _numpy(effect: Effect, audio: np.ndarray, settings: dict[str, float], sample_rate: float) -> np.ndarray:
    return effect.render(audio, settings, sample_rate)


def cases(effect: Effect, draws: int, samples: int) -> Iterator[tuple[str, np.ndarray, dict[str, float], float]]:
    """(title, audio, settings, rate): seeded draws over the ranges, mono and stereo, four rates, then the corners at
    44.1 and 96 kHz."""
    rng = np.random.default_rng(20220717)
    for i in range(draws):
        yield "draw", programme(rng, 1 + i // 4 % 2, samples), draw(effect, rng), RATES[i % 4]
    special = corners(effect.name)
    known = {p.name for p in effect.parameters}
    for title, settings in special.items():
        if set(settings) <= known:
            for rate in (44100, 96000):
                yield title, programme(rng, 2, max(samples, 65536)), effect.complete(settings), rate


def worst_errors(effect: Effect, forms: dict[str, Render], draws: int, samples: int) -> dict[str, tuple[float, float, str]]:
    """Per form: worst error over the draws, worst in the corners, and which corner."""
    worst = dict.fromkeys(forms, (0.0, 0.0, "-"))
    for title, audio, settings, rate in cases(effect, draws, samples):
        reference = REFERENCES[effect.name](effect, audio, settings, rate)
        for name, render in forms.items():
            out = render(effect, audio, settings, rate)
            if out is None:
                worst.pop(name)
                forms = {k: v for k, v in forms.items() if k != name}
                continue
            error, (drawn, corner, which) = relative_rms(out, reference), worst[name]
            if title == "draw":
                worst[name] = (max(drawn, error), corner, which)
            elif error >= corner:
                worst[name] = (drawn, error, f"{title}, {rate} Hz")
    return worst


@click.command()
@click.option("--draws", default=2000, help="seeded draws per effect and variant")
@click.option("--samples", default=16384, help="length of the signals of the draws")
@click.option("--effects", default="", help="names, separated by commas (all)")
@click.option("--forms", default="", help="beginnings of names of forms, separated by commas (all)")
@click.option("--import", "modules", multiple=True, help="modules that add forms")
def main(draws: int, samples: int, effects: str, forms: str, modules: tuple[str, ...]) -> None:
    for module in modules:
        importlib.import_module(module)
    chosen = {k: v for k, v in FORMS.items() if not forms or k.startswith(tuple(forms.split(",")))}
    click.echo(f"{draws} draws per row, {samples} samples; {platform.machine()}, numpy {np.__version__}\n")
    click.echo("| effect | form, device | worst over the draws | worst in the corners | which |\n|---|---|---|---|---|")
    for variant in VARIANTS:
        if effects and variant[0] not in effects.split(","):
            continue
        effect = make(variant)
        config = ", ".join(f"{k} {v if not isinstance(v, list) else len(v)}" for k, v in variant[1].items())
        for name, (drawn, corner, which) in worst_errors(effect, chosen, draws, samples).items():
            title = f"{variant[0]} ({config})" if config else variant[0]
            click.echo(f"| {title} | {name} | {drawn:.1e} | {f'{corner:.1e}' if which != '-' else '-'} | {which} |")


if __name__ == "__main__":
    # As an imported module, so that forms added elsewhere land in the same table.
    importlib.import_module("benchmarks.exactness").main()
