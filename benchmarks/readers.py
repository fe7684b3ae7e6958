"""Readers as threads and as processes, beside a main thread that works as one that trains on a GPU does: in short calls.

    python -m benchmarks.readers [--items 512] [--workers 2] [--rounds 5]

A step of the main thread is 200 calls that let go of the interpreter's lock for some microseconds, as launches of kernels do,
each followed by a few lines of Python. How often it waits there, and how long the step takes, is what readers cost the one that
trains. Contenders take turns; medians over the rounds. Processor time counts all processes.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import tempfile
import threading
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.loader import write_tars
from stylefx.corpus.dataset import TrainingSet
from stylefx.corpus.loader import TrainingLoader
from stylefx.corpus.processes.loader import ProcessLoader
from stylefx.corpus.reader import open_corpus

CALLS, BATCH = 200, 16
DATA = bytes(16384)  # above 5 KB zlib lets go of the lock


def step() -> None:
    for number in range(CALLS):
        zlib.crc32(DATA)
        sum(range(number % 50))


def waits() -> int:
    """How often the calling thread gave its processor up, to wait for something."""
    return resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw


def cpu_s() -> float:
    """Of this process and its children."""
    pids = [os.getpid(), *(int(pid) for file in Path("/proc/self/task").glob("*/children") for pid in file.read_text().split())]
    ticks = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13] for pid in pids]
    return sum(int(user) + int(system) for user, system in ticks) / os.sysconf("SC_CLK_TCK")


def measure(loader: TrainingLoader) -> tuple[float, float, float, float]:
    """From the first batch on: items per second, items per second of processor time beside the main thread's, the main thread's
    waits per step, and its median milliseconds per step."""
    ready, done, own_s = threading.Event(), threading.Event(), 0.0
    marks: list[tuple[float, float, float]] = []

    def read() -> None:
        for count, _ in enumerate(loader, 1):
            if count in (1, loader.stop_step):
                marks.append((time.perf_counter(), cpu_s(), own_s))
                (ready if count == 1 else done).set()

    reader = threading.Thread(target=read)
    reader.start()
    ready.wait()
    began_s, waited, steps = time.thread_time(), waits(), []
    while not done.is_set():
        began = time.perf_counter()
        step()
        steps.append(1000 * (time.perf_counter() - began))
        own_s = time.thread_time() - began_s
    waited = waits() - waited
    reader.join()
    (wall, used, own), items = (last - first for first, last in zip(*marks)), BATCH * (loader.stop_step - 1)
    return items / wall, items / (used - own), waited / len(steps), statistics.median(steps)


def alone() -> float:
    """Median milliseconds of a step that nobody reads beside."""
    times = []
    for _ in range(200):
        began = time.perf_counter()
        step()
        times.append(1000 * (time.perf_counter() - began))
    return statistics.median(times)


def copies_let_go_of_the_lock() -> float:
    """Milliseconds that a step takes while another thread copies whole batches and does nothing else."""
    source, target, ended = np.ones((BATCH, 3, 131072), np.float32), np.empty((BATCH, 3, 131072), np.float32), threading.Event()

    def copy() -> None:
        while not ended.is_set():
            np.copyto(target, source)

    thread = threading.Thread(target=copy)
    thread.start()
    try:
        return alone()
    finally:
        ended.set()
        thread.join()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=512)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    a = parser.parse_args()
    found: dict[str, list[tuple[float, ...]]] = {}
    quiet, copying = [], []
    with tempfile.TemporaryDirectory() as folder:
        root = write_tars(Path(folder) / "c", 128, "flac")
        options = {"micro": BATCH, "workers": a.workers, "stop_step": a.items // BATCH}
        contenders: dict[str, Callable[[], TrainingLoader]] = {
            "threads": lambda: TrainingLoader(TrainingSet([open_corpus(root)]), **options)
        }
        for n in (1, 2):
            contenders[f"{n} process(es)"] = lambda n=n: ProcessLoader(TrainingSet([open_corpus(root)]), processes=n, **options)
        for number in range(a.rounds + 1):
            quiet.append(alone())
            copying.append(copies_let_go_of_the_lock())
            for name, start in contenders.items():
                result = measure(start())
                if number:  # the first round warms caches
                    found.setdefault(name, []).append(result)
    print(f"{a.workers} workers, {a.items} items of 3 x 131072 from FLAC, batches of {BATCH}, median of {a.rounds}")
    alone_ms, copying_ms = statistics.median(quiet[1:]), statistics.median(copying[1:])
    print(f"a step alone: {alone_ms:.2f} ms; beside a thread that copies batches: {copying_ms:.2f} ms")
    print("| readers | items/s | items per processor second | main thread waits per step | its step, ms |\n|---|---|---|---|---|")
    for name, rounds in found.items():
        rate, per_cpu, waited, ms = (statistics.median(r[i] for r in rounds) for i in range(4))
        print(f"| {name} | {rate:.0f} | {per_cpu:.0f} | {waited:.2f} | {ms:.2f} |")


if __name__ == "__main__":
    main()
