"""What takes time to start begins before it is needed: workers are forked at once, to scan with and then to render with, and a
private Ray runtime, which takes seconds, starts while recordings are scanned and the plan is made."""

from __future__ import annotations

import json
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from pipelines.environment import environment_digest
from pipelines.executors import Executor, choose_executor, open_executor
from pipelines.manifest import Manifest
from pipelines.preflight import kernels_loaded
from pipelines.shard import run_task
from pipelines.workers import Crew, cores, leave_pandas_out


class EarlyStart:
    """First ``load``, then ``start``: ``crew`` scans; ``opened`` hands the executor over, once; what nobody took is closed at
    the end. how: the options executor, workers and address of a build.
    """

    def __init__(self, manifest: Manifest, how: dict[str, Any]):
        self._manifest, self._how = manifest, (how["executor"], run_task, how["workers"], how["address"])
        self._private_ray = choose_executor(how["executor"], how["address"]) == "ray" and not how["address"]
        self._count = 0
        self.crew = Crew()
        self._future: Future[Executor] | None = None
        self._pool: ThreadPoolExecutor | None = None

    def load(self) -> None:
        """What every worker needs is loaded here, once, and inherited. Not for Ray, which had better start at once."""
        leave_pandas_out()
        if not self._private_ray:
            environment_digest(self._manifest.augment.used_engine)
            kernels_loaded(json.dumps(self._manifest.to_dict()))
        self._count = self._how[2] or cores()

    def start(self, renders: bool) -> None:
        """Fork the workers; where shards will be rendered by a private Ray, begin to start it. The process has one thread."""
        self.crew.fork(self._count)
        if self._private_ray and renders:
            # the thread is kept: Linux ends Ray's processes with the thread that started them
            self._pool = ThreadPoolExecutor(1, thread_name_prefix="ray")
            self._future = self._pool.submit(open_executor, *self._how)

    def opened(self) -> Executor:
        """The executor. Workers that scanned render on, where it is one of child processes; else they are ended."""
        future, self._future = self._future, None
        if future is not None:
            self.crew.close()
            return future.result()
        return open_executor(*self._how, self.crew)

    def __enter__(self) -> EarlyStart:
        return self

    def __exit__(self, *exception: object) -> None:
        future, self._future = self._future, None
        if future is not None:
            future.result().close()
        self.crew.close()
