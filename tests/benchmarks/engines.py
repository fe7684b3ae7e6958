"""What the pitch and tempo engines cost: CPU milliseconds for 10.92 s of mono at 24 kHz, processes they start included.

    python -m tests.benchmarks.engines [--repeats 5] [--engines "signalsmith;vocoder"]

Engines take turns, one run each per round; the table shows medians over the rounds of the mean over five settings of
pitch and tempo, the start-up (first call in this process: imports, compilation or its cache), and stereo at 44.1 kHz.
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np

from stylefx.audio import engine_names
from tests.benchmarks.quality_screen import PEERS, RATE, SETTINGS, runner

OUT_FRAMES = 2 * 131072


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--frames", type=int, default=OUT_FRAMES, help="frames of output at 24 kHz")
    parser.add_argument("--engines", default=";".join([*engine_names(), *PEERS]), help="names, separated by ;")
    arguments = parser.parse_args()
    names = arguments.engines.split(";")
    stereo_names = [n for n in names if n not in PEERS]
    start_ms = {}
    for name in names:
        before = time.perf_counter()
        runner(name)(signal(RATE, 1, RATE), RATE, 50.0, 1.1, round(RATE / 1.1))
        start_ms[name] = 1e3 * (time.perf_counter() - before)
    mono: dict[str, list[float]] = {n: [] for n in names}
    stereo: dict[str, list[float]] = {n: [] for n in stereo_names}
    for _ in range(arguments.repeats):
        for name in names:
            mono[name].append(cost_ms(name, RATE, 1, arguments.frames))
        for name in stereo_names:
            stereo[name].append(cost_ms(name, 44100, 2, round(arguments.frames * 44100 / RATE)))
    reference = np.median(mono["signalsmith"]) if "signalsmith" in mono else float("nan")
    seconds = arguments.frames / RATE
    print(f"CPU ms for {seconds:.2f} s of output, median of {arguments.repeats} rounds of {len(SETTINGS)} settings")
    print(f"{'engine':<36}{'mono 24k':>10}{'x signalsmith':>15}{'stereo 44.1k':>14}{'first call ms':>15}")
    for name in names:
        both = f"{np.median(stereo[name]):>14.1f}" if name in stereo else f"{'-':>14}"
        median = np.median(mono[name])
        print(f"{name:<36}{median:>10.1f}{reference / median:>15.2f}{both}{start_ms[name]:>15.0f}")


if __name__ == "__main__":
    main()
