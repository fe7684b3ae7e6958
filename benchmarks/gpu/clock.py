"""Medians of calls that take turns, the device idle before and after each, compilation and tuning outside."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

WARM = 2  # turns that compile, tune and fill caches


@dataclass(frozen=True)
class Taken:
    """Median milliseconds and peak MiB above what was allocated before, or why there are none."""

    ms: float = float("nan")
    mib: float = float("nan")
    failed: str = ""


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def forget(device: torch.device) -> None:
    """Give back what torch's allocator keeps."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def timed(call: Callable[[], object], device: torch.device) -> tuple[float, float]:
    """Milliseconds of wall time and MiB of one call. Host and device begin and end together, so that launches count."""
    wait(device)
    before = 0
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
    start = time.perf_counter()
    call()
    wait(device)
    ms = 1e3 * (time.perf_counter() - start)
    return ms, (torch.cuda.max_memory_allocated(device) - before) / 2**20 if device.type == "cuda" else float("nan")


def compare(
    calls: dict[str, Callable[[], object]],
    device: torch.device,
    rounds: int,
    failed: Callable[[str, BaseException], str],
    limit_s: float = 6.0,
) -> dict[str, Taken]:
    """Every call once per turn. A call that fails is told to ``failed`` and takes no further part; one that has taken
    ``limit_s`` in all and has five turns behind it neither."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
    spent, broken = dict.fromkeys(calls, 0.0), {}
    for turn in range(rounds + WARM):
        for name, call in calls.items():
            if name in broken or (spent[name] > limit_s and len(times[name]) >= 5):
                continue
            began = time.perf_counter()
            try:
                result = timed(call, device)
            except Exception as error:  # a peer that cannot run here must not end the comparison
                broken[name] = failed(name, error)
                del error
                forget(device)
                continue
            spent[name] += time.perf_counter() - began
            if turn >= WARM:
                times[name].append(result)
    done = {n: Taken(statistics.median(t for t, _ in rows), max(m for _, m in rows)) for n, rows in times.items() if rows}
    return {name: Taken(failed=broken[name]) if name in broken else done.get(name, Taken(failed="no turn")) for name in calls}
