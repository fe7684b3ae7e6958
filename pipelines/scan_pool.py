"""Worker processes for scanning: a file that crashes or hangs its decoder costs one row, not the scan.

Results come back in the order of the tasks; a bounded number is in flight, so memory does not grow with the collection.
"""

from __future__ import annotations

import multiprocessing
import os
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection, wait
from typing import Any

from stylefx.errors import StylefxError

_AHEAD = 16  # tasks waiting per worker
_TRIES = 2
_START_SECONDS = 300.0  # imports from a slow disk


def _work(function: Callable, pipe: Connection) -> None:
    """A worker: says that it is ready, then one task in, one result out, until the pipe closes."""
    pipe.send(None)
    while True:
        try:
            task = pipe.recv()
        except (EOFError, KeyboardInterrupt):
            return
        try:
            result = function(task)
        except StylefxError as error:  # stops everything: it is not about this task alone
            result = error
        except Exception:  # noqa: BLE001 - a process boundary: the parent raises it
            result = RuntimeError(f"a worker failed\n{traceback.format_exc()}")
        pipe.send(result)


class _Worker:
    def __init__(self, function: Callable, context: Any):
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(function, theirs), daemon=True)
        self.process.start()
        theirs.close()
        self.job: list | None = None  # [index, payload, tries]
        self.ready = False
        self.deadline = 0.0

    def give(self, job: list, seconds: float) -> None:
        self.job, self.deadline = job, time.monotonic() + (seconds if self.ready else _START_SECONDS)
        self.pipe.send(job[1])

    def stop(self) -> None:
        self.pipe.close()
        self.process.kill()
        self.process.join()


class WorkerPool:
    """Runs ``function(payload)`` in processes. A context manager; ``workers`` 0 runs everything in this process."""

    def __init__(self, function: Callable, workers: int | None, task_seconds: float):
        self._function, self._task_seconds = function, task_seconds
        self._count = len(os.sched_getaffinity(0)) if workers is None else workers
        self._context = multiprocessing.get_context("spawn")
        self._workers: list[_Worker] = []

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(self, *exception: object) -> None:
        for worker in self._workers:
            worker.stop()

    def map_ordered(self, tasks: Iterable[tuple], payload: Callable) -> Iterator[tuple]:
        """Yields (*task, result) in the tasks' order. payload(task) None: the result is None without any work.

        A result that is a text says how the task killed its worker, twice.
        """
        if self._count == 0:
            for task in tasks:
                work = payload(task)
                yield (*task, None if work is None else self._function(work))
            return
        pending: deque[tuple[int, tuple]] = deque()
        waiting: deque[list] = deque()
        done: dict[int, Any] = {}
        source, exhausted = enumerate(tasks), False
        while True:
            while not exhausted and len(pending) < self._count * _AHEAD:
                try:
                    index, task = next(source)
                except StopIteration:
                    exhausted = True
                    break
                pending.append((index, task))
                work = payload(task)
                if work is None:
                    done[index] = None
                else:
                    waiting.append([index, work, 0])
            while pending and pending[0][0] in done:
                index, task = pending.popleft()
                yield (*task, done.pop(index))
            if exhausted and not pending:
                return
            if exhausted or len(pending) >= self._count * _AHEAD:
                self._step(waiting, done)

    def _step(self, waiting: deque, done: dict) -> None:
        """Hand out work, then wait for at least one event."""
        while waiting:
            worker = next((w for w in self._workers if w.job is None), None)
            if worker is None and len(self._workers) < self._count:
                worker = _Worker(self._function, self._context)
                self._workers.append(worker)
            if worker is None:
                break
            worker.give(waiting.popleft(), self._task_seconds)
        busy = [w for w in self._workers if w.job is not None]
        if not busy:
            return
        patience = min(w.deadline for w in busy) - time.monotonic()
        ready = wait([w.pipe for w in busy], timeout=max(0.05, min(patience, 3600.0)))
        for worker in busy:
            if worker.pipe in ready:
                self._receive(worker, waiting, done)
            elif time.monotonic() > worker.deadline:
                self._lost(worker, f"hung: no end after {self._task_seconds:g} s", waiting, done)

    def _receive(self, worker: _Worker, waiting: deque, done: dict) -> None:
        try:
            result = worker.pipe.recv()
        except (EOFError, OSError):
            worker.process.join()
            self._lost(worker, f"crashed: the decoder died with status {worker.process.exitcode}", waiting, done)
            return
        if isinstance(result, (StylefxError, RuntimeError)):
            raise result
        if worker.ready:
            done[worker.job[0]], worker.job = result, None
        else:  # its clock starts now
            worker.ready, worker.deadline = True, time.monotonic() + self._task_seconds

    def _lost(self, worker: _Worker, reason: str, waiting: deque, done: dict) -> None:
        """Replace a worker; its task is tried once more before it is given up."""
        index, work, tries = worker.job
        worker.stop()
        self._workers.remove(worker)
        if tries + 1 < _TRIES:
            waiting.appendleft([index, work, tries + 1])
        else:
            done[index] = reason
