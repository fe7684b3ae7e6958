"""Tasks in the driver itself, for debugging."""

from __future__ import annotations

from pipelines.workers.executor import Executor, Task, TaskOutcome, Work, outcome_of


class DirectExecutor(Executor):
    """Tasks run inside ``wait``, in this process."""

    def __init__(self, work: Work):
        self._work, self._tasks = work, list[Task]()

    @property
    def workers(self) -> int:
        return 1

    def submit(self, task: Task) -> None:
        self._tasks.append(task)

    def wait(self, timeout_s: float) -> list[TaskOutcome]:
        if not self._tasks:
            return []
        task = self._tasks.pop(0)
        return [outcome_of(task, self._work(task))]

    def cancel(self, task: Task) -> None:
        """Nothing runs between two calls of ``wait``."""

    def close(self) -> None:
        self._tasks.clear()
