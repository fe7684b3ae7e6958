"""Shard tasks as Ray core tasks: on this machine's cores, or on the cluster at an address.

Ray retries nothing by itself here: the driver counts attempts, so that they are finite and a poisonous sample is found.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.build_lease import process_lives
from pipelines.environment import ONE_THREAD
from pipelines.executors import NODE_DIED, Executor, Outcome, ShardTask, Work, outcome_of
from pipelines.workers import become_worker
from stylefx.errors import IncompleteError, UserError

_OBJECT_STORE_BYTES = 80 << 20  # reports are small and audio never passes through Ray; 75 MiB is Ray's least

#: Ray reads these when it is imported
_SETTINGS = {
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DEDUP_LOGS": "0",
}

#: Ray gives way to everything else that runs, with workers at nice 15. On a machine of our own the build is what it is for;
#: who wants otherwise starts the command itself under nice, which its workers inherit, or sets this variable.
_LOCAL_SETTINGS = {"RAY_worker_niceness": "0"}


def _remove_left_behind(place: str) -> None:
    """Drop the folders of our drivers that were killed more than ten minutes ago."""
    for path in Path(place).glob("sfx-*-*"):
        with contextlib.suppress(OSError, ValueError):
            status = path.lstat()
            mine = status.st_uid == os.getuid() and stat.S_ISDIR(status.st_mode)
            if mine and time.time() - status.st_mtime > 600 and not process_lives(int(path.name.split("-")[1])):
                shutil.rmtree(path, ignore_errors=True)


def _import_the_rest() -> None:
    """What the first shard would import and load: done by every worker as soon as it runs, while the driver still plans."""
    become_worker()
    import pipelines.shard  # noqa: F401
    from stylefx.audio import integrated_lufs

    integrated_lufs(np.zeros((1, 12000), np.float32), 24000)  # with its first kernel numba loads all that it knows


def _in_worker(work: Work) -> Work:
    def shard(task: ShardTask) -> dict[str, Any]:
        become_worker()
        return work(task)

    return shard


def _did_not_start(error: Exception) -> IncompleteError:
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return IncompleteError(f"Ray's own processes did not start or died at once ({reason}); run the same command again")


class RayExecutor(Executor):
    """One Ray task per shard, one CPU each."""

    def __init__(self, work: Work, workers: int | None, address: str | None):
        os.environ.update({k: v for k, v in _SETTINGS.items() if k not in os.environ})
        import ray

        self._ray, self._refs, self._folder, self._owner = ray, {}, None, False
        environment: dict[str, Any] = {}
        if ray.is_initialized():  # a caller's own cluster, as in tests and notebooks
            pass
        elif address:
            environment = {"env_vars": ONE_THREAD}
            try:
                ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, runtime_env=environment)
            except (ConnectionError, RuntimeError, ValueError) as error:
                raise UserError(f"no Ray cluster answers at --address {address}: {error}") from error
            self._owner = True
        else:
            self._start(workers or os.cpu_count() or 1)
        try:
            cpus = int(ray.cluster_resources().get("CPU", 1))
            idle = int(ray.available_resources().get("CPU", 0))
        except ray.exceptions.RaySystemError as error:
            self.close()
            raise _did_not_start(error) from error
        self.workers = min(workers, cpus) if workers else max(cpus, 1)
        self._environment = environment
        self._remote = ray.remote(max_retries=0, num_cpus=1, runtime_env=environment)(_in_worker(work))
        warm = ray.remote(max_retries=0, num_cpus=1, runtime_env=environment)(_import_the_rest)
        self._warming = [warm.remote() for _ in range(min(idle, self.workers))]

    def _start(self, workers: int) -> None:
        """A private runtime: address="local", because a bare init can attach to a stranger's cluster."""
        place = "/tmp" if os.path.isdir("/tmp") else tempfile.gettempdir()  # paths of sockets must be short
        _remove_left_behind(place)
        self._folder = tempfile.mkdtemp(prefix=f"sfx-{os.getpid()}-", dir=place)
        self._owner = True
        inherited = ONE_THREAD | _LOCAL_SETTINGS  # by the runtime's processes
        before = {name: os.environ.get(name) for name in inherited}
        os.environ.update(inherited | {k: v for k, v in os.environ.items() if k in _LOCAL_SETTINGS})
        try:
            self._ray.init(
                address="local",
                num_cpus=workers,
                include_dashboard=False,
                object_store_memory=_OBJECT_STORE_BYTES,
                _temp_dir=self._folder,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
        except (ConnectionError, RuntimeError, TimeoutError, self._ray.exceptions.RaySystemError) as error:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise _did_not_start(error) from error
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        finally:
            for name, value in before.items():
                os.environ.pop(name) if value is None else os.environ.update({name: value})

    def submit(self, task: ShardTask) -> None:
        self._refs[self._remote.options(name=task.name).remote(task)] = task

    def wait(self, timeout_s: float) -> list[Outcome]:
        if not self._refs:
            return []
        ready, _ = self._ray.wait(list(self._refs), num_returns=1, timeout=timeout_s)
        if not ready:
            self._check_runtime()
        else:
            more, _ = self._ray.wait(list(self._refs), num_returns=len(self._refs), timeout=0)
            ready = more or ready
        return [self._end(ref) for ref in ready]

    def _end(self, ref: Any) -> Outcome:
        task = self._refs.pop(ref)
        errors = self._ray.exceptions
        try:
            return outcome_of(task, self._ray.get(ref))
        except errors.OutOfMemoryError:
            return Outcome(task, died="out of memory")
        except errors.TaskCancelledError:
            return Outcome(task, died="cancelled")
        except (errors.NodeDiedError, errors.LocalRayletDiedError):
            return Outcome(task, died=NODE_DIED)
        except errors.RayTaskError as error:  # the work itself raised, outside its own boundary
            return Outcome(task, problem={"kind": "internal", "message": str(error.cause), "traceback": str(error)})
        except errors.RayError as error:
            self._check_runtime()
            return Outcome(task, died=type(error).__name__)

    def _check_runtime(self) -> None:
        """The processes of a private runtime are ours to watch; without them no task ever ends."""
        node = getattr(self._ray._private.worker, "_global_node", None)
        if self._folder and node is not None and node.dead_processes():
            names = ", ".join(sorted({str(name) for name, _ in node.dead_processes()}))
            raise IncompleteError(f"Ray's own processes died ({names}); run the same command again to resume")

    def cancel(self, task: ShardTask) -> None:
        for ref, other in self._refs.items():
            if other == task:
                self._ray.cancel(ref, force=True)

    def close(self) -> None:
        for ref in self._refs:
            self._ray.cancel(ref, force=True)
        self._refs.clear()
        if self._owner:
            self._ray.shutdown()
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)

    def preflight(self, check: Callable[..., dict], *args: Any) -> list[dict]:
        """The check once on every live node, pinned there."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        remote = self._ray.remote(max_retries=1, num_cpus=1, runtime_env=self._environment)(check)
        nodes = [node for node in self._ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]
        refs = {}
        for node in nodes:
            strategy = NodeAffinitySchedulingStrategy(node_id=node["NodeID"], soft=False)
            refs[remote.options(scheduling_strategy=strategy).remote(*args)] = node["NodeManagerAddress"]
        ready, pending = self._ray.wait(list(refs), num_returns=len(refs), timeout=300)
        out = []
        for ref in ready:
            try:
                out.append({"node": refs[ref], **self._ray.get(ref)})
            except self._ray.exceptions.RayError as error:
                cause = getattr(error, "cause", None)
                out.append({"node": refs[ref], "problem": f"the check did not run: {cause or type(error).__name__}"})
        return out + [{"node": refs[ref], "problem": "the check did not end within 300 s"} for ref in pending]
