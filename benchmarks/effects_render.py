"""How fast effects render: seconds of audio per second of CPU, one core, mono, the render only (no file, no start-up).

    python -m benchmarks.effects_render [--rate 24000] [--seconds 10.92] [--runs 7]

Rounds over all contenders, interleaved; the median of the rounds counts. Peers: scipy's sosfilt in float64 and six calls
of lfilter for the equaliser, pedalboard (where installed) for both; a pedalboard compressor is another compressor.
Errors are against the float64 references of the tests.
"""

from __future__ import annotations

import os

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

import platform  # noqa: E402
import statistics  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable  # noqa: E402

import click  # noqa: E402
import numpy as np  # noqa: E402
import scipy.signal  # noqa: E402

from stylefx.effects.palette.parametric_eq import ParametricEq  # noqa: E402
from stylefx.effects.presets import deepafx_st_chain  # noqa: E402
from stylefx.effects.registry import effect_names, make_effect  # noqa: E402
from tests.support.effect_references import REFERENCES, draw, programme, relative_rms  # noqa: E402

EQ_SETTINGS = {
    f"{band}_{knob}": value
    for band, values in {
        "low_shelf": (6.0, 90.0, 0.7),
        "band1": (-5.0, 500.0, 1.5),
        "band2": (4.0, 1500.0, 2.0),
        "band3": (-7.0, 4000.0, 1.0),
        "band4": (3.0, 7000.0, 3.0),
        "high_shelf": (-4.0, 9000.0, 0.7),
    }.items()
    for knob, value in zip(("gain_db", "cutoff_hz", "q"), values)
}
COMPRESSOR_SETTINGS = {"threshold_db": -35.0, "ratio": 4.0, "attack_ms": 8.0, "release_ms": 120.0, "knee_db": 6.0}
Contender = tuple[str, Callable[[], np.ndarray], np.ndarray | None]


def _pedalboard():
    try:
        import pedalboard
    except ImportError:
        return None
    return pedalboard


def equalisers(audio: np.ndarray, rate: int) -> list[Contender]:
    effect = ParametricEq()
    settings = effect.complete(EQ_SETTINGS)
    reference = REFERENCES["parametric_eq"](effect, audio, settings, rate)
    sos, wide = effect.sections(settings, rate), audio.astype(np.float64)

    def six_calls() -> np.ndarray:
        out = wide
        for row in sos:
            out = scipy.signal.lfilter(row[:3], row[3:], out)
        return out

    contenders: list[Contender] = [
        ("parametric_eq, ours", lambda: effect.render(audio, settings, rate), reference),
        ("scipy sosfilt, float64", lambda: scipy.signal.sosfilt(sos, wide), reference),
        ("scipy lfilter, six calls, float64", six_calls, reference),
    ]
    pedalboard = _pedalboard()
    if pedalboard is not None:
        kinds = {"peak": pedalboard.PeakFilter, "low_shelf": pedalboard.LowShelfFilter, "high_shelf": pedalboard.HighShelfFilter}
        arguments = [
            (kinds[k], settings[f"{n}_cutoff_hz"], settings[f"{n}_gain_db"], settings[f"{n}_q"]) for n, k, _, _ in effect.bands
        ]
        board = pedalboard.Pedalboard([cls(cutoff_frequency_hz=f, gain_db=g, q=q) for cls, f, g, q in arguments])
        contenders.append(("pedalboard, six filters", lambda: board(audio, rate), reference))
    return contenders


def compressors(audio: np.ndarray, rate: int) -> list[Contender]:
    effect = make_effect("compressor")
    settings = effect.complete(COMPRESSOR_SETTINGS)
    reference = REFERENCES["compressor"](effect, audio, settings, rate)
    contenders: list[Contender] = [("compressor, ours", lambda: effect.render(audio, settings, rate), reference)]
    pedalboard = _pedalboard()
    if pedalboard is not None:
        names = ("threshold_db", "ratio", "attack_ms", "release_ms")
        board = pedalboard.Compressor(**{k: settings[k] for k in names})
        contenders.append(("pedalboard compressor (another one)", lambda: board(audio, rate), reference))
    return contenders


def palette(audio: np.ndarray, rate: int) -> list[Contender]:
    rng, contenders = np.random.default_rng(1), []
    for name in effect_names():
        if name in ("parametric_eq", "compressor"):
            continue
        effect = make_effect(name)
        settings = draw(effect, rng)
        reference = REFERENCES[name](effect, audio, settings, rate)
        contenders.append((f"{name}, ours", lambda e=effect, s=settings: e.render(audio, s, rate), reference))
    chain = deepafx_st_chain()
    entries = [{"effect": "parametric_eq", "settings": EQ_SETTINGS}, {"effect": "compressor", "settings": COMPRESSOR_SETTINGS}]
    contenders.append(("chain parametric_eq + compressor, ours", lambda: chain.render(audio, entries, rate), None))
    return contenders


def measure(contenders: list[Contender], runs: int, audio_s: float) -> list[tuple[str, float, str]]:
    """(name, audio s per CPU s, relative RMS error) of each; every call is repeated until it takes about 50 ms."""
    repeats, errors = [], []
    for _, render, reference in contenders:
        out = render()
        errors.append(f"{relative_rms(out, reference):.1e}" if reference is not None else "-")
        start = time.process_time()
        render()
        repeats.append(max(1, int(0.05 / max(time.process_time() - start, 1e-4))))
    times: list[list[float]] = [[] for _ in contenders]
    for _ in range(runs):
        for i, (_, render, _) in enumerate(contenders):
            start = time.process_time()
            for _ in range(repeats[i]):
                render()
            times[i].append((time.process_time() - start) / repeats[i])
    return [(c[0], audio_s / statistics.median(t), e) for c, t, e in zip(contenders, times, errors)]


@click.command()
@click.option("--rate", default=24000, help="sample rate in Hz")
@click.option("--seconds", default=10.92, help="length of the signal")
@click.option("--runs", default=7, help="interleaved rounds; the median counts")
def main(rate: int, seconds: float, runs: int) -> None:
    audio = programme(np.random.default_rng(0), 1, round(rate * seconds))
    click.echo(f"mono {rate} Hz, {seconds:g} s, one core, median of {runs}; {platform.processor() or platform.machine()}\n")
    click.echo("| render | audio s per CPU s | relative RMS error |\n|---|---|---|")
    for group in (equalisers, compressors, palette):
        for name, speed, error in measure(group(audio, rate), runs, seconds):
            click.echo(f"| {name} | {speed:.0f} | {error} |")


if __name__ == "__main__":
    main()
