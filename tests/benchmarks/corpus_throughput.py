"""Pairs per second of a corpus build, Ray included, beside two scripts out of common parts; one command, one table.

    python -m tests.benchmarks.corpus_throughput --pairs 192 --repeats 5

A pair is 10.92 s mono at 24 kHz, pitch and tempo changed, EQ and compressor on both branches, four FLAC halves, loudness
of both. "steady": pairs a second after the first round of every worker. "whole program": wall time of the command over
96 pairs, start-up included, kernels compiled by an earlier run. Routes are interleaved, medians are printed.
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
PROGRAM = [sys.executable, "-c", "from pipelines.cli import main; main()"]
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


def manifest(sources: Path, out: Path, pairs: int, engine: str) -> dict:
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
        "segment": {"half_frames": HALF, "sample_rate": RATE, "overlap": 0.9},
        "split": {"fractions": {"train": 1.0, "val": 0.0, "test": 0.0}},
        "augment": {"engine": engine, "probability": 1.0},
        "chains": {"input": effects, "target": effects},
        "selection": {"hours": pairs * 2 * HALF / RATE / 3600},
        "shard": {"samples": 8},
    }


class _Moments:
    """A progress that notes when how many samples were there."""

    def __new__(cls):
        from pipelines.progress import Progress

        class Noting(Progress):
            def __init__(self):
                super().__init__("quiet")
                self.seen = []

            def update(self, tally, force=False):
                if not self.seen or self.seen[-1][1] != tally.rendered:
                    self.seen.append((time.perf_counter(), tally.rendered))

        return Noting()


def ours_steady(folder: Path, sources: Path, pairs: int, engine: str, executor: str, workers: int) -> dict:
    """Build in this process; the rate after every worker's first shard, and milliseconds per stage and pair."""
    from pipelines.build import Options, build
    from pipelines.build_prepare import prepare
    from pipelines.manifest import Manifest

    out = folder / "corpus"
    shutil.rmtree(out, ignore_errors=True)
    model = Manifest.model_validate(manifest(sources, out, pairs + 8 * workers, engine))
    prepared = prepare(model, str(out), False, 0, lambda text: None)
    moments = _Moments()
    summary = build(model, str(out), prepared.shards, 0, (), Options(executor=executor, workers=workers), moments)
    warm = next(i for i, (_, n) in enumerate(moments.seen) if n >= 8 * workers)
    (t0, n0), (t1, n1) = moments.seen[warm], moments.seen[-1]
    stages = dict.fromkeys(STAGES, 0.0)
    for name, s in summary.tally.seconds.items():
        stages[_NAMES.get(name, "other")] += 1000 * s / summary.tally.rendered
    return {"rate": (n1 - n0) / (t1 - t0), "stages_ms": stages, "startup_s": summary.startup_s}


def ours_whole(folder: Path, sources: Path, pairs: int, engine: str, workers: int, planned: bool) -> float:
    """Wall seconds of `stylefx-pipe build`, with the plan there or with scanning and planning."""
    out = folder / "whole"
    shutil.rmtree(out, ignore_errors=True)
    path = folder / "manifest.yaml"
    path.write_text(json.dumps(manifest(sources, out, pairs, engine)))
    if planned:
        from pipelines.build_prepare import prepare
        from pipelines.manifest import load_manifest

        prepare(load_manifest(path), str(out), False, 0, lambda text: None)
    start = time.perf_counter()
    subprocess.run(
        [*PROGRAM, "build", str(path), "--workers", str(workers), "--progress", "quiet"], check=True, capture_output=True
    )
    return time.perf_counter() - start


def peer(folder: Path, sources: Path, pairs: int, route: str, workers: int) -> tuple[dict, float]:
    """(rate and stages, wall seconds) of a peer's script as a program of its own."""
    out = folder / "peer"
    shutil.rmtree(out, ignore_errors=True)
    command = [sys.executable, "-m", "tests.benchmarks.peers", "--route", route, "--pairs", str(pairs)]
    start = time.perf_counter()
    done = subprocess.run(
        [*command, "--sources", str(sources), "--out", str(out), "--workers", str(workers)], check=True, capture_output=True
    )
    return json.loads(done.stdout.splitlines()[-1]), time.perf_counter() - start


def available_peers() -> list[str]:
    """pyrubberband needs the program rubberband."""
    return [p for p in PEERS if p != "pyrubberband" or shutil.which("rubberband")]


def measure(options: argparse.Namespace) -> dict:
    """{"steady": {route: [results]}, "whole": {route: [seconds]}} of all repeats, interleaved."""
    steady: dict[str, list] = {}
    whole: dict[str, list] = {}
    with tempfile.TemporaryDirectory() as name:
        folder, workers = Path(name), options.workers
        write_sources(folder / "sources", seconds=options.recording_s)
        sources = folder / "sources"
        for repeat in range(options.repeats + 1):  # the first round compiles and fills caches
            rows: dict[str, dict] = {}
            times: dict[str, float] = {}
            for engine in options.engines:
                for executor in ("ray", "inline"):
                    rows[f"stylefx {engine}, {executor}"] = ours_steady(folder, sources, options.pairs, engine, executor, workers)
                times[f"stylefx {engine}, build"] = ours_whole(folder, sources, options.whole_pairs, engine, workers, True)
                times[f"stylefx {engine}, scan + plan + build"] = ours_whole(
                    folder, sources, options.whole_pairs, engine, workers, False
                )
            for route in available_peers():
                rows[f"peer {route}"], _ = peer(folder, sources, options.pairs, route, workers)
                _, times[f"peer {route}"] = peer(folder, sources, options.whole_pairs, route, workers)
            if repeat:
                for route, row in rows.items():
                    steady.setdefault(route, []).append(row)
                for route, s in times.items():
                    whole.setdefault(route, []).append(s)
            print(f"round {repeat} of {options.repeats} done", file=sys.stderr)
    return {"steady": steady, "whole": whole}


def median(values: list[float]) -> float:
    return statistics.median(values)


def table(result: dict, options: argparse.Namespace) -> str:
    rates = {route: median([r["rate"] for r in rows]) for route, rows in result["steady"].items()}
    base = rates.get("peer audiomentations") or min(rates.values())
    machine = platform.processor() or platform.machine()
    lines = [f"{options.workers} workers, {options.pairs} pairs, medians of {options.repeats}; {machine}"]
    lines += ["| route | pairs/s | x audiomentations peer | start-up s | " + " | ".join(f"{s} ms" for s in STAGES) + " |"]
    lines += ["|---" * (4 + len(STAGES)) + "|"]
    for route, rows in result["steady"].items():
        startup = f"{median([r['startup_s'] for r in rows]):.1f}" if "startup_s" in rows[0] else "-"
        stages = [f"{median([r['stages_ms'].get(s, 0.0) for r in rows]):.1f}" for s in STAGES]
        lines.append(f"| {route} | {rates[route]:.1f} | {rates[route] / base:.2f} | {startup} | {' | '.join(stages)} |")
    lines += ["", f"| whole program, {options.whole_pairs} pairs | seconds | x audiomentations peer |", "|---|---|---|"]
    seconds = {route: median(times) for route, times in result["whole"].items()}
    slow = seconds.get("peer audiomentations") or max(seconds.values())
    lines += [f"| {route} | {s:.1f} | {slow / s:.2f} |" for route, s in seconds.items()]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=192)
    parser.add_argument("--whole-pairs", type=int, default=96)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--workers", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--engines", nargs="+", default=["signalsmith"])
    parser.add_argument("--recording-s", type=float, default=75.0)
    parser.add_argument("--json", type=Path, help="Write all figures here.")
    options = parser.parse_args()
    result = measure(options)
    print(table(result, options))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
