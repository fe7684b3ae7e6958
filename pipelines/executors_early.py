"""A private Ray runtime takes seconds to start; it starts while recordings are scanned and the plan is made."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from pipelines.executors import Executor, open_executor
from pipelines.shard import run_task


class EarlyStart:
    """``opened`` hands the executor over, once; what nobody took is closed by ``cancel``. None where nothing starts early."""

    def __init__(self, how: dict[str, Any], wanted: bool):
        self._future: Future[Executor] | None = None
        # the thread is kept: Linux ends Ray's processes with the thread that started them
        if wanted and how["executor"] == "ray" and not how["address"]:
            self._pool = ThreadPoolExecutor(1, thread_name_prefix="ray")
            self._future = self._pool.submit(open_executor, "ray", run_task, how["workers"], None)

    @property
    def opened(self) -> Callable[[], Executor] | None:
        return self._take if self._future is not None else None

    def _take(self) -> Executor:
        future, self._future = self._future, None
        if future is None:
            return open_executor("ray", run_task, None)
        return future.result()

    def cancel(self) -> None:
        if self._future is not None:
            self._take().close()
