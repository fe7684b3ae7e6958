"""The table of pitch and tempo engines: what they do to tones, clicks, channels, offsets and levels, and what they cost.

    python -m benchmarks.engines [--repeats 5] [--engines "signalsmith;vocoder"] [--only quality|cost]

Quality, at 24 kHz (``engine_measures.py`` says how each is measured), the worst of the settings: "drawn" are corners of
what manifests draw by default (+-200 cents, tempo 0.8..1.2), "slow" and "fast" are tempo 0.5 and 2 with and without pitch.

Cost: CPU milliseconds for 10.92 s of mono at 24 kHz, processes that the engine starts included. Engines take turns, one
run each per round; medians over the rounds of the mean over five settings of pitch and tempo, the start-up (first call in
this process: imports, compilation or its cache), and stereo at 44.1 kHz.
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np

from benchmarks.engine_measures import (
    click_errors,
    image_error_db,
    level_error_db,
    offset_kept,
    sine_level_error_db,
    tone_errors,
)
from benchmarks.quality_screen import PEERS, RATE, SETTINGS, runner
from stylefx.audio import engine_names

OUT_FRAMES = 2 * 131072
DRAWN = ((200.0, 0.8), (200.0, 1.2), (-200.0, 0.8), (-200.0, 1.2), (100.0, 1.0), (0.0, 0.8))
SLOW = ((0.0, 0.5), (200.0, 0.5))
FAST = ((0.0, 2.0), (-200.0, 2.0))


def cpu_s() -> float:
    """CPU seconds of this process and of the children it waited for."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def signal(rate: int, channels: int, frames: int) -> np.ndarray:
    """Noise in bursts over gliding harmonics: work for peak picking and attack detection."""
    rng, t = np.random.default_rng(0), np.arange(frames) / rate
    phase = 2 * np.pi * np.cumsum(150 * (1 + 0.2 * np.sin(2 * np.pi * 0.5 * t))) / rate
    voice = sum(np.sin(k * phase) / k for k in range(1, 20))
    bursts = rng.normal(size=(channels, frames)) * np.exp(-((t * 4) % 1.0) * 12)
    return (0.1 * (voice + bursts)).astype(np.float32)


def cost_ms(name: str, rate: int, channels: int, out_frames: int) -> float:
    """Mean CPU milliseconds over the settings for a fixed length of output."""
    total = 0.0
    for cents, tempo in SETTINGS:
        audio = signal(rate, channels, round(out_frames * tempo))
        before = cpu_s()
        runner(name)(audio, rate, cents, tempo, out_frames)
        total += cpu_s() - before
    return 1e3 * total / len(SETTINGS)


def quality(name: str) -> dict[str, str]:
    """Column -> figure of one engine."""
    run = runner(name)
    voice = signal(RATE, 1, 4 * RATE)[0]
    tones = tone_errors(run, RATE, DRAWN)
    drawn, slow, fast = (click_errors(run, RATE, settings) for settings in (DRAWN, SLOW, FAST))
    low, high = offset_kept(run, RATE, signal(RATE, 1, 4 * RATE), 0.05, DRAWN)
    clicks = {
        f"{what}, drawn / slow / fast": " / ".join(f"{table[:, column].max():.{digits}f}" for table in (drawn, slow, fast))
        for what, column, digits in (("click ms", 0, 1), ("copy dB", 1, 0), ("pre-echo dB", 2, 0))
    }
    return {
        "cents": f"{np.abs(tones[:, 0]).max():.2f}",
        "residual dB": f"{tones[:, 1].max():.0f}",
        **clicks,
        "image dB": f"{image_error_db(run, RATE, voice, 0.3, DRAWN):.0f}" if name not in PEERS else "-",
        "level dB": f"{level_error_db(run, RATE, voice[None], DRAWN):+.2f}",
        "sine of 1e-6 / 100 dB": " / ".join(f"{sine_level_error_db(run, RATE, a):+.1f}" for a in (1e-6, 100.0)),
        "offset kept": f"{low:.2f}..{high:.2f}",
    }


def print_quality(names: list[str]) -> None:
    rows = {name: quality(name) for name in names}
    columns = list(next(iter(rows.values())))
    print("| engine | " + " | ".join(columns) + " |")
    print("|---" * (len(columns) + 1) + "|")
    for name, row in rows.items():
        print(f"| {name} | " + " | ".join(row.values()) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--frames", type=int, default=OUT_FRAMES, help="frames of output at 24 kHz, for the cost")
    parser.add_argument("--engines", default=";".join([*engine_names(), *PEERS]), help="names, separated by ;")
    parser.add_argument("--only", choices=("quality", "cost"), help="one half of the table")
    arguments = parser.parse_args()
    names = arguments.engines.split(";")
    if arguments.only != "cost":
        print_quality(names)
    if arguments.only != "quality":
        print_cost(names, arguments.repeats, arguments.frames)


def print_cost(names: list[str], repeats: int, frames: int) -> None:
    stereo_names = [n for n in names if n not in PEERS]
    start_ms = {}
    for name in names:
        before = time.perf_counter()
        runner(name)(signal(RATE, 1, RATE), RATE, 50.0, 1.1, round(RATE / 1.1))
        start_ms[name] = 1e3 * (time.perf_counter() - before)
    mono: dict[str, list[float]] = {n: [] for n in names}
    stereo: dict[str, list[float]] = {n: [] for n in stereo_names}
    for _ in range(repeats):
        for name in names:
            mono[name].append(cost_ms(name, RATE, 1, frames))
        for name in stereo_names:
            stereo[name].append(cost_ms(name, 44100, 2, round(frames * 44100 / RATE)))
    reference = np.median(mono["signalsmith"]) if "signalsmith" in mono else float("nan")
    seconds = frames / RATE
    print(f"CPU ms for {seconds:.2f} s of output, median of {repeats} rounds of {len(SETTINGS)} settings")
    print(f"{'engine':<36}{'mono 24k':>10}{'x signalsmith':>15}{'stereo 44.1k':>14}{'first call ms':>15}")
    for name in names:
        both = f"{np.median(stereo[name]):>14.1f}" if name in stereo else f"{'-':>14}"
        median = np.median(mono[name])
        print(f"{name:<36}{median:>10.1f}{reference / median:>15.2f}{both}{start_ms[name]:>15.0f}")


if __name__ == "__main__":
    main()
