"""Worker processes for scanning: a file that crashes or hangs its decoder costs one row, not the scan.

Results come back in the order of the tasks; a bounded number is in flight, so memory does not grow with the collection.
"""

from __future__ import annotations

import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import wait
from typing import Any

from pipelines.workers.crew import Crew, Worker
from stylefx.errors import StylefxError
from stylefx.files.processes.cores import cores
from stylefx.files.processes.spawning import did_not_start

_AHEAD = 16  # tasks waiting per worker


_TRIES = 2


_START_SECONDS = 300.0  # imports from a slow disk


def _attempt(call: tuple[Callable[..., Any], Any]) -> Any:
    """In the worker: an error that is not about this task alone comes back as a value, which the parent raises."""
    function, payload = call
    try:
        return function(payload)
    except StylefxError as error:
        return error
    except Exception:  # noqa: BLE001 - a process boundary
        return RuntimeError(f"a worker failed\n{traceback.format_exc()}")


@dataclass
class _Job:
    """A task on its way: its place in the order, what is worked on, how often it was tried, and until when it may take."""

    index: int
    payload: Any
    tries: int = 0
    deadline: float = 0.0


class WorkerPool:
    """Runs ``function(payload)`` in processes. A context manager; ``workers`` 0 runs everything in this process.

    Workers come from ``crew``, where one is given, and go back there.
    """

    def __init__(self, function: Callable[..., Any], workers: int | None, task_seconds: float, crew: Crew | None = None):
        self._function, self._task_seconds = function, task_seconds
        self._count = cores() if workers is None else workers
        self._crew, self._is_mine = crew or Crew(), crew is None
        self._workers: list[Worker] = []  # their jobs are _Job

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(self, *exception: object) -> None:
        for worker in self._workers:
            self._crew.dismiss(worker)
        if self._is_mine:
            self._crew.close()

    def map_ordered(self, tasks: Iterable[tuple[Any, ...]], payload: Callable[..., Any]) -> Iterator[tuple[Any, ...]]:
        """Yields (*task, result) in the tasks' order. payload(task) None: the result is None without any work.

        A result that is a text says how the task killed its worker, twice.
        """
        if self._count == 0:
            for task in tasks:
                work = payload(task)
                yield (*task, None if work is None else self._function(work))
            return
        pending: deque[tuple[int, tuple[Any, ...]]] = deque()
        waiting: deque[_Job] = deque()
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
                    waiting.append(_Job(index, work))
            while pending and pending[0][0] in done:
                index, task = pending.popleft()
                yield (*task, done.pop(index))
            if exhausted and not pending:
                return
            if exhausted or len(pending) >= self._count * _AHEAD:
                self._step(waiting, done)

    def _step(self, waiting: deque[_Job], done: dict[int, Any]) -> None:
        """Hand out work, then wait for at least one event."""
        while waiting:
            worker = next((w for w in self._workers if w.job is None), None)
            if worker is None and len(self._workers) < self._count:
                worker = self._crew.hire()
                self._workers.append(worker)
            if worker is None:
                break
            job = waiting.popleft()
            job.deadline = time.monotonic() + (self._task_seconds if worker.ready else _START_SECONDS)
            worker.job = job
            worker.call(_attempt, (self._function, job.payload))
        busy = [w for w in self._workers if w.job is not None]
        if not busy:
            return
        patience = min(w.job.deadline for w in busy) - time.monotonic()
        heard = wait([w.pipe for w in busy], timeout=max(0.05, min(patience, 3600.0)))
        for worker in busy:
            if worker.pipe in heard:
                self._receive(worker, waiting, done)
            elif time.monotonic() > worker.job.deadline:
                self._lost(worker, f"hung: no end after {self._task_seconds:g} s", waiting, done)

    def _receive(self, worker: Worker, waiting: deque[_Job], done: dict[int, Any]) -> None:
        try:
            results = worker.receive()
        except (EOFError, OSError):
            worker.process.join()
            if not worker.ready and worker.job.tries + 1 >= _TRIES:
                raise did_not_start(worker.how_it_died()) from None
            self._lost(worker, f"crashed: the decoder died with status {worker.process.exitcode}", waiting, done)
            return
        if not results:  # it has started: its clock starts now
            worker.job.deadline = time.monotonic() + self._task_seconds
            return
        job, worker.job = worker.job, None
        if isinstance(results[0], (StylefxError, RuntimeError)):
            raise results[0]
        done[job.index] = results[0]

    def _lost(self, worker: Worker, reason: str, waiting: deque[_Job], done: dict[int, Any]) -> None:
        """Replace a worker; its task is tried once more before it is given up."""
        job = worker.job
        worker.kill()
        self._workers.remove(worker)
        job.tries += 1
        if job.tries < _TRIES:
            waiting.appendleft(job)
        else:
            done[job.index] = reason
