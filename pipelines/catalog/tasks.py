"""Batches of a scan as tasks of an executor: on the nodes that will render, or in this machine's processes for one share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

from pipelines.catalog.file import PreviousRows
from pipelines.catalog.parts import ScanBatch, ScanParts
from pipelines.catalog.scan import Measuring, measure_recording
from pipelines.storage.open import open_storage
from pipelines.workers.crew import become_worker
from pipelines.workers.executor import Executor, reported, stop_error
from pipelines.workers.limit import sample_limit

_TRIES = 2


@dataclass(frozen=True)
class ScanTask:
    """A batch to measure; small, and free of credentials. Its name holds the digest of all that it measures."""

    name: str
    out: str
    prefix: str
    batch: ScanBatch = field(hash=False)  # what is known of a recording is a table, which has no hash
    how: Measuring = field(hash=False)
    limit_s: float


def run_scan_task(task: ScanTask) -> dict[str, Any]:
    """What executors call, in a worker: measure and publish. A recording that hangs ends the process."""
    become_worker()
    return reported(lambda: _measure(task))


def _measure(task: ScanTask) -> dict[str, Any]:
    rows = []
    for found in task.batch.found:
        with sample_limit(task.limit_s):
            rows.append(measure_recording((found, task.how)))
    ScanParts(open_storage(task.out), task.prefix).write(task.batch, rows)
    return {"recordings": len(rows), "frames_s": sum(r["frames"] / r["sample_rate"] for r in rows if r["sample_rate"])}


def scan_with(
    executor: Executor, tasks: Iterable[ScanTask], say: Callable[[str], None], progress: Callable[[int, float], None]
) -> int:
    """Work off the tasks; returns how many batches no worker survived: those are left to processes that are watched."""
    source, waiting, attempts = iter(tasks), list[ScanTask](), Counter[str]()
    running, given_up, recordings, seconds = 0, 0, 0, 0.0
    while True:
        while running < executor.workers and (task := waiting.pop() if waiting else next(source, None)) is not None:
            executor.submit(task)
            running += 1
        if not running:
            return given_up
        for outcome in executor.wait(0.5):
            running -= 1
            task = cast("ScanTask", outcome.task)
            problem = outcome.problem or {}
            if outcome.report is not None:
                recordings, seconds = recordings + outcome.report["recordings"], seconds + outcome.report["frames_s"]
                progress(recordings, seconds / 3600)
            elif problem and problem["kind"] != "memory":
                raise stop_error(problem, f"the scan of {task.batch.found[0].path}")
            else:
                attempts[task.name] += 1
                if attempts[task.name] < _TRIES:
                    waiting.append(task)
                else:
                    given_up += 1
        for line in executor.news():
            say(line)


def tasks_of(
    batches: Iterable[ScanBatch], parts: ScanParts, old: PreviousRows | None, how: Measuring, limit_s: float, prefix: str
) -> Iterator[ScanTask]:
    """Those that are to be done: not published yet, and not known from an earlier catalog as a whole."""
    for batch in batches:
        if parts.has(batch) or (old is not None and all(old.find(found, how.fingerprint) is not None for found in batch.found)):
            continue
        yield ScanTask(f"scan {batch.digest[:12]}", parts.storage.where, prefix, batch, how, limit_s)
