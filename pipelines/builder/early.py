"""What takes time to start begins before it is needed: workers are forked at once, to scan with and then to render with, and a
private Ray runtime, which takes seconds, starts while recordings are scanned and the plan is made."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from pipelines.builder.job import BuildOptions
from pipelines.manifest.model import Manifest
from pipelines.render.compiling import compile_on_all_cores
from pipelines.render.kernels import kernels_loaded
from pipelines.workers.crew import Crew, leave_pandas_out
from pipelines.workers.environment import environment_digest
from pipelines.workers.executor import Executor, Work
from pipelines.workers.open import choose_executor, open_executor
from pipelines.workers.runtime import LOCAL
from stylefx.files.processes.cores import cores


class EarlyStart:
    """First ``load``, then ``start``: ``crew``, of ``count`` processes, scans; ``opened`` hands the executor over, once; what
    nobody took is closed at the end.
    """

    def __init__(self, manifest: Manifest, options: BuildOptions):
        self._manifest, self._options = manifest, options
        on_ray = choose_executor(options.executor, options.address) == "ray"
        self._on_cluster = on_ray and options.address not in (None, LOCAL)
        self._private_ray = on_ray and options.address in (None, LOCAL)
        # --workers is about the cluster, this machine has its cores
        self.count = min(options.workers or cores(), cores()) if on_ray else options.workers or cores()
        self.crew = Crew()
        self._future: Future[Executor] | None = None
        self._pool: ThreadPoolExecutor | None = None

    def load(self, say: Callable[[str], None] | None = None) -> None:
        """What every worker needs is loaded here, once, and inherited. Not for Ray, which had better start at once.
        ``say`` is told where this takes long."""
        leave_pandas_out()
        if not self._private_ray:
            environment_digest(self._manifest.rendered_with)
            compile_on_all_cores(self._manifest, say)
            kernels_loaded(json.dumps(self._manifest.to_dict()))

    def start(self, renders: bool) -> None:
        """Fork the workers; where shards will be rendered by a private Ray, begin to start it. The process has one thread."""
        if not self._on_cluster:
            self.crew.fork(self.count)
        if self._private_ray and renders:
            # the thread is kept: Linux ends Ray's processes with the thread that started them
            self._pool = ThreadPoolExecutor(1, thread_name_prefix="ray")
            self._future = self._pool.submit(self._options.open)

    @property
    def cluster(self) -> Callable[[Work], Executor] | None:
        """Opens the cluster's executor for other work than shards; None where this machine does it all."""
        if not self._on_cluster:
            return None
        return lambda work: open_executor("ray", work, self._options.workers, self._options.address)

    def opened(self) -> Executor:
        """The executor. Workers that scanned render on, where it is one of child processes; else they are ended."""
        future, self._future = self._future, None
        if future is not None:
            self.crew.close()
            return future.result()
        return self._options.open(self.crew)

    def __enter__(self) -> EarlyStart:
        return self

    def __exit__(self, *exception: object) -> None:
        future, self._future = self._future, None
        if future is not None:
            future.result().close()
        self.crew.close()
