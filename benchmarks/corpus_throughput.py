"""Pairs per second of a corpus build, beside two scripts out of common parts; one command, all tables.

    python -m benchmarks.corpus_throughput --pairs 96 --repeats 5     # about ten minutes on two idle cores

A pair is 10.92 s mono at 24 kHz, pitch and tempo changed, EQ and compressor on both branches, four FLAC halves, loudness
of both. "steady": pairs a second after the first round of every worker. "whole program": wall time of the command over as
many pairs, scan and plan included, from a fresh folder, with kernels that an earlier run compiled. Routes are interleaved,
medians are printed; ratios are medians of the ratios within a round. ``--draws 1,4`` also builds as many pairs with four draws
of effects of every stretched clip (segment.draws_per_tape), for which the peers have nothing; their rows stay what they are.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

RATE, HALF = 24000, 131072
PROGRAM = [sys.executable, "-c", "from pipelines.cli.main import main; main()"]
PEERS = ("pyrubberband", "audiomentations")
STAGES = ("read", "pitch + tempo", "effects", "loudness", "encode", "other")
_NAMES = {"augment": "pitch + tempo", "read": "read", "effects": "effects", "loudness": "loudness", "encode": "encode"}


def write_sources(folder: Path, recordings: int = 12, seconds: float = 75.0) -> None:
    """Synthetic music and speech-like material as 24 kHz FLAC, a folder per group."""
    for n in range(recordings):
        rng = np.random.default_rng(n)
        t = np.arange(round(seconds * RATE)) / RATE
        steps = np.repeat(rng.integers(-12, 12, len(t) // (RATE // 4) + 1), RATE // 4)[: len(t)]
        phase = 2 * np.pi * np.cumsum(220.0 * 2.0 ** (steps / 12.0)) / RATE
        audio = sum(np.sin(k * phase) / k for k in range(1, 9)) * np.exp(-4 * ((t * 4) % 1.0))
        audio += 0.05 * rng.standard_normal(len(t))
        (folder / f"group-{n}").mkdir(parents=True)
        soundfile.write(folder / f"group-{n}" / "take.flac", (0.2 * audio).astype(np.float32), RATE)


def manifest(sources: Path, out: Path, pairs: int, engine: str, draws: int = 1) -> dict:
    """The same work for every pair as in the peers' scripts: everything with probability 1."""
    effects = [
        {"step": "effect", "effect": "parametric_eq", "drawn_by": "deepafx-st-eq"},
        {"step": "normalise"},
        {"step": "effect", "effect": "compressor", "drawn_by": "deepafx-st-compressor"},
    ]
    return {
        "name": "throughput",
        "output": str(out),
        "sources": [{"name": "music", "path": str(sources)}],
        "segment": {"half_frames": HALF, "sample_rate": RATE, "overlap": 0.9, "draws_per_tape": draws},
        "split": {"fractions": {"train": 1.0, "val": 0.0, "test": 0.0}},
        "augment": {"engine": engine, "probability": 1.0},
        "chains": {"input": effects, "target": effects},
        "selection": {"hours": pairs / draws * 2 * HALF / RATE / 3600},  # of clips
        "shard": {"samples": 8},
    }


class _Moments:
    """A progress that notes when how many samples were there."""

    def __new__(cls):
        from pipelines.builder.progress import BuildProgress

        class Noting(BuildProgress):
            def __init__(self):
                super().__init__("quiet")
                self.seen = []

            def update(self, tally, force=False):
                if not self.seen or self.seen[-1][1] != tally.rendered:
                    self.seen.append((time.perf_counter(), tally.rendered))

        return Noting()


def ours_steady(folder: Path, sources: Path, pairs: int, engine: str, executor: str, workers: int, draws: int) -> dict:
    """Build in this process; the rate after every worker's first shard, and milliseconds per stage and pair."""
    from pipelines.builder.job import BuildOptions
    from pipelines.builder.prepare import PrepareOptions, prepare
    from pipelines.builder.run import build
    from pipelines.manifest.model import Manifest

    out = folder / "corpus"
    shutil.rmtree(out, ignore_errors=True)
    model = Manifest.model_validate(manifest(sources, out, pairs + 8 * workers, engine, draws))
    prepared = prepare(model, str(out), PrepareOptions(workers=0))
    moments = _Moments()
    summary = build(model, str(out), prepared.shards, 0, (), BuildOptions(executor=executor, workers=workers), moments)
    warm = next(i for i, (_, n) in enumerate(moments.seen) if n >= 8 * workers)
    (t0, n0), (t1, n1) = moments.seen[warm], moments.seen[-1]
    stages = dict.fromkeys(STAGES, 0.0)
    for name, s in summary.tally.seconds.items():
        stages[_NAMES.get(name, "other")] += 1000 * s / summary.tally.rendered
    return {"rate": (n1 - n0) / (t1 - t0), "stages_ms": stages, "startup_s": summary.startup_s}


def ours_whole(folder: Path, sources: Path, pairs: int, engine: str, executor: str, workers: int, draws: int) -> float:
    """Wall seconds of `stylefx-pipe build`: scan, plan and build."""
    out = folder / "whole"
    shutil.rmtree(out, ignore_errors=True)
    path = folder / "manifest.yaml"
    path.write_text(json.dumps(manifest(sources, out, pairs, engine, draws)))
    command = [*PROGRAM, "build", str(path), "--workers", str(workers), "--executor", executor, "--progress", "quiet"]
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env=_installed())
    return time.perf_counter() - start


def _installed() -> dict[str, str]:
    """The environment with byte code kept, as after any installation; some test machines turn that off."""
    return {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}


def peer(folder: Path, sources: Path, pairs: int, route: str, workers: int) -> tuple[dict, float]:
    """(rate and stages, wall seconds) of a peer's script as a program of its own."""
    out = folder / "peer"
    shutil.rmtree(out, ignore_errors=True)
    command = [sys.executable, "-m", "benchmarks.peers", "--route", route, "--pairs", str(pairs)]
    start = time.perf_counter()
    command += ["--sources", str(sources), "--out", str(out), "--workers", str(workers)]
    done = subprocess.run(command, check=True, capture_output=True, env=_installed())
    return json.loads(done.stdout.splitlines()[-1]), time.perf_counter() - start


def available_peers() -> list[str]:
    """pyrubberband needs the program rubberband."""
    return [p for p in PEERS if p != "pyrubberband" or shutil.which("rubberband")]


def routes(options: argparse.Namespace) -> list[tuple[str, str, int, int]]:
    """(engine, executor, workers, draws) of the steady runs: every engine with all workers, the first also with fewer; further
    draws with the first engine and all workers."""
    full, first = max(options.workers), options.engines[0]
    return [
        (engine, executor, workers, draws)
        for engine in options.engines
        for executor in options.executors
        for workers in sorted(options.workers, reverse=True)
        for draws in options.draws
        if (engine == first or workers == full) and (draws == options.draws[0] or (engine == first and workers == full))
    ]


def name_of(engine: str, executor: str, draws: int) -> str:
    return f"stylefx {engine}, {executor}" + (f", {draws} draws of effects per clip" if draws > 1 else "")


def steady_name(engine: str, executor: str, workers: int, draws: int = 1) -> str:
    return f"{name_of(engine, executor, draws)}, {workers} worker{'s' * (workers > 1)}"


def one_round(folder: Path, options: argparse.Namespace, pairs: int) -> tuple[dict[str, dict], dict[str, float]]:
    """({route: rate, stages, ...}, {route: wall seconds of the whole program})."""
    sources, full = folder / "sources", max(options.workers)
    steady: dict[str, dict] = {}
    whole: dict[str, float] = {}
    for route in routes(options):
        engine, executor, workers, draws = route
        steady[steady_name(*route)] = ours_steady(folder, sources, pairs, *route)
        if workers == full:
            whole[name_of(engine, executor, draws)] = ours_whole(folder, sources, pairs, *route)
    for name in available_peers():
        steady[f"peer {name}"], whole[f"peer {name}"] = peer(folder, sources, pairs, name, full)
    return steady, whole


def measure(options: argparse.Namespace) -> dict:
    """{"steady": {route: [results]}, "whole": {route: [seconds]}} of all repeats, interleaved."""
    steady: dict[str, list] = {}
    whole: dict[str, list] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_sources(folder / "sources", seconds=options.recording_s)
        for repeat in range(options.repeats + 1):  # the first round, a short one, compiles and fills caches
            rows, times = one_round(folder, options, options.pairs if repeat else 16)
            if repeat:
                for route, row in rows.items():
                    steady.setdefault(route, []).append(row)
                for route, s in times.items():
                    whole.setdefault(route, []).append(s)
            print(f"round {repeat} of {options.repeats} done", file=sys.stderr)
    return {"steady": steady, "whole": whole}


def median(values: list[float]) -> float:
    return statistics.median(values)


def ratio(result: dict, above: str, below: str) -> float | None:
    """Median over the rounds of one route's rate over another's; None where one was not run."""
    rows = result["steady"]
    if above not in rows or below not in rows:
        return None
    return median([a["rate"] / b["rate"] for a, b in zip(rows[above], rows[below], strict=True)])


def ratio_lines(result: dict, options: argparse.Namespace) -> list[str]:
    """Ray against child processes, all workers against one."""
    engine, full = options.engines[0], max(options.workers)
    wanted = [
        (f"Ray / inline, {name}, {full} workers", *(steady_name(name, e, full, options.draws[0]) for e in ("ray", "inline")))
        for name in options.engines
    ]
    wanted += [
        (f"{full} workers / 1, {engine}, {executor}", *(steady_name(engine, executor, n, options.draws[0]) for n in (full, 1)))
        for executor in options.executors
        if full > 1
    ]
    found = [(text, ratio(result, above, below)) for text, above, below in wanted]
    return ["| steady rates | ratio |", "|---|---|"] + [f"| {text} | {r:.2f} |" for text, r in found if r is not None]


def table(result: dict, options: argparse.Namespace) -> str:
    rates = {route: median([r["rate"] for r in rows]) for route, rows in result["steady"].items()}
    base = rates.get("peer audiomentations") or min(rates.values())
    machine = platform.processor() or platform.machine()
    lines = [f"{max(options.workers)} workers, {options.pairs} pairs, medians of {options.repeats}; {machine}"]
    lines += ["| route | pairs/s | x audiomentations peer | start-up s | " + " | ".join(f"{s} ms" for s in STAGES) + " |"]
    lines += ["|---" * (4 + len(STAGES)) + "|"]
    for route, rows in result["steady"].items():
        startup = f"{median([r['startup_s'] for r in rows]):.1f}" if "startup_s" in rows[0] else "-"
        stages = [f"{median([r['stages_ms'].get(s, 0.0) for r in rows]):.1f}" for s in STAGES]
        lines.append(f"| {route} | {rates[route]:.1f} | {rates[route] / base:.2f} | {startup} | {' | '.join(stages)} |")
    lines += ["", *ratio_lines(result, options), ""]
    lines += [
        f"| whole program, {options.pairs} pairs, scan and plan included | seconds | x audiomentations peer |",
        "|---|---|---|",
    ]
    seconds = {route: median(times) for route, times in result["whole"].items()}
    slow = seconds.get("peer audiomentations") or max(seconds.values())
    lines += [f"| {route} | {s:.1f} | {slow / s:.2f} |" for route, s in seconds.items()]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=96)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument(
        "--workers", type=lambda text: [int(n) for n in text.split(",")], default=[1, min(2, os.cpu_count() or 1)]
    )
    parser.add_argument("--executors", type=lambda text: text.split(","), default=["inline", "ray"])
    parser.add_argument("--engines", type=lambda text: text.split(","), default=["vocoder", "signalsmith"])
    parser.add_argument(
        "--draws",
        type=lambda text: [int(n) for n in text.split(",")],
        default=[1],
        help="Draws of effects per stretched clip, such as 1,4; the first also with fewer workers and other engines.",
    )
    parser.add_argument("--recording-s", type=float, default=75.0)
    parser.add_argument("--json", type=Path, help="Write all figures here.")
    options = parser.parse_args()
    result = measure(options)
    print(table(result, options))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
