"""Where shard tasks run. An executor starts tasks, says what became of them, and can kill one; it decides nothing.

``ray`` runs them on a cluster or on this machine's cores; ``inline`` in child processes of the driver, without Ray (one,
unless more workers are asked for); ``direct`` in the driver itself, for debugging: a crash ends the build. ``auto`` is Ray
where a cluster is named, and else child processes on all cores: on one machine Ray gives the same bytes at the same pace, but
starting its runtime takes as much computing as rendering eighty samples.
"""

from __future__ import annotations

import sys
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pipelines.environment import environment_digest
from pipelines.workers import Crew, cores
from stylefx.errors import UserError

NODE_DIED = "its node died"
EXECUTORS = ("auto", "ray", "inline", "direct")


@dataclass(frozen=True)
class ShardTask:
    """All that a worker needs to make one shard; small, and free of credentials."""

    out: str
    manifest: str  # JSON
    number: int
    name: str
    generation: int
    shard_digest: str
    plan_digest: str
    manifest_digest: str
    builder: str
    attempt: int = 0
    roots: tuple[tuple[str, str], ...] = ()  # where the sources lie: (name, absolute path or URL)
    skip: tuple[tuple[str, str], ...] = ()  # quarantined: (key, reason)
    sample_limit_s: float = 120.0
    memory_limit_mb: int = 0


@dataclass(frozen=True)
class Outcome:
    """What became of a task: a report, or how its worker died, or what error it met."""

    task: ShardTask
    report: dict[str, Any] | None = None
    died: str | None = None
    problem: dict[str, Any] | None = None


Work = Callable[[ShardTask], dict[str, Any]]


class Executor(ABC):
    """At most ``workers`` tasks run at a time; the driver submits no more than that."""

    workers: int

    @abstractmethod
    def submit(self, task: ShardTask) -> None:
        """Start a task."""

    @abstractmethod
    def wait(self, timeout_s: float) -> list[Outcome]:
        """What ended since the last call; waits at most ``timeout_s``."""

    @abstractmethod
    def cancel(self, task: ShardTask) -> None:
        """Kill the task's worker; ``wait`` then reports that it died."""

    @abstractmethod
    def close(self) -> None:
        """Stop everything, whatever runs."""

    def preflight(self, check: Callable[..., dict], *args: Any) -> list[dict]:
        """Run a check once on every node; here that is this one."""
        return [check(*args)]


def outcome_of(task: ShardTask, result: dict[str, Any]) -> Outcome:
    """Sort what ``pipelines.shard.run_task`` returned."""
    if "problem" in result:
        return Outcome(task, problem=result["problem"])
    return Outcome(task, report=result)


class DirectExecutor(Executor):
    """Tasks run inside ``wait``, in this process."""

    workers = 1

    def __init__(self, work: Work):
        self._work, self._tasks = work, []

    def submit(self, task: ShardTask) -> None:
        self._tasks.append(task)

    def wait(self, timeout_s: float) -> list[Outcome]:
        if not self._tasks:
            return []
        task = self._tasks.pop(0)
        return [outcome_of(task, self._work(task))]

    def cancel(self, task: ShardTask) -> None:
        """Nothing runs between two calls of ``wait``."""

    def close(self) -> None:
        self._tasks.clear()


def describe(error: BaseException) -> dict[str, Any]:
    """An unexpected error as plain data that crosses process boundaries."""
    return {
        "kind": "internal",
        "message": f"{type(error).__name__}: {error}",
        "traceback": "".join(traceback.format_exception(error)),
        "environment": environment_digest(),
    }


def choose_executor(kind: str, address: str | None = None) -> str:
    """What ``auto`` stands for here; other names stay what they are."""
    if kind != "auto":
        return kind
    connected = "ray" in sys.modules and sys.modules["ray"].is_initialized()  # a caller's own cluster, as in notebooks
    return "ray" if address or connected else "inline"


def open_executor(kind: str, work: Work, workers: int | None, address: str | None = None, crew: Crew | None = None) -> Executor:
    """The executor of this name; Ray is imported only when it is asked for. ``crew``: workers that run already."""
    if kind == "auto":
        kind = choose_executor(kind, address)
        workers = workers or (cores() if kind == "inline" else None)
    if kind == "ray":
        from pipelines.executors_ray import RayExecutor

        return RayExecutor(work, workers, address)
    if address:
        raise UserError(f"--address {address} needs --executor ray, not {kind}")
    if kind == "inline":
        from pipelines.executors_inline import InlineExecutor

        return InlineExecutor(work, workers or 1, crew)
    if kind == "direct":
        return DirectExecutor(work)
    raise UserError(f"there is no executor {kind!r}; choose one of {', '.join(EXECUTORS)}")
