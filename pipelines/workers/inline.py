"""Shard tasks in child processes of the driver, without Ray: on one machine, in Slurm arrays, and where Ray is not wanted."""

from __future__ import annotations

import time
from multiprocessing.connection import wait as wait_for
from typing import Any

from pipelines.workers.crew import Crew, Worker
from pipelines.workers.executor import Executor, Task, TaskOutcome, Work, describe, outcome_of
from stylefx.files.processes.spawning import did_not_start

_TRIES = 2  # workers that may end before they are ready


def _attempt(job: tuple[Work, Task]) -> dict[str, Any]:
    """In the worker: the process boundary."""
    work, task = job
    try:
        return work(task)
    except Exception as error:  # noqa: BLE001 - the process boundary
        return {"problem": describe(error)}


class InlineExecutor(Executor):
    """``workers`` child processes out of ``crew``, each hired when it is first needed."""

    def __init__(self, work: Work, workers: int, crew: Crew | None = None):
        self._count, self._work, self._crew = workers, work, crew or Crew()
        self._children: list[Worker] = []  # their jobs are tasks
        self._never_ready = 0

    @property
    def workers(self) -> int:
        return self._count

    def submit(self, task: Task) -> None:
        child = next((c for c in self._children if c.job is None), None)
        if child is None:
            child = self._crew.hire()
            self._children.append(child)
        child.job = task
        child.call(_attempt, (self._work, task))

    def wait(self, timeout_s: float) -> list[TaskOutcome]:
        busy = [c for c in self._children if c.job is not None]
        if not busy:
            time.sleep(min(timeout_s, 0.05))
            return []
        handles: dict[Any, Worker] = {c.pipe: c for c in busy} | {c.process.sentinel: c for c in busy}
        ended = {id(handles[h]): handles[h] for h in wait_for(list(handles), timeout_s)}
        return [outcome for child in ended.values() for outcome in self._heard(child)]

    def _heard(self, child: Worker) -> list[TaskOutcome]:
        """What a worker's message, or its end, means: no outcome when it only says that it started."""
        task = child.job
        try:
            if child.pipe.poll():
                results = child.receive()
                if results:
                    child.job = None
                return [outcome_of(task, result) for result in results]
        except (EOFError, OSError):
            pass  # it closed its end by dying
        how = child.how_it_died()
        child.kill()
        self._children.remove(child)
        self._never_ready += not (child.ready or child.cancelled)
        if self._never_ready >= _TRIES:
            raise did_not_start(how)
        return [TaskOutcome(task, died=how)]

    def cancel(self, task: Task) -> None:
        for child in self._children:
            if child.job == task:
                child.cancelled = True  # so that its end says nothing of how workers start
                child.process.kill()

    def close(self) -> None:
        for child in self._children:
            child.kill()
        self._children.clear()
        self._crew.close()
