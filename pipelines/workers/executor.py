"""Where shard tasks run. An executor starts tasks, says what became of them, and can kill one; it decides nothing.

``ray`` runs them on a cluster or on this machine's cores; ``inline`` in child processes of the driver, without Ray; ``direct``
in the driver itself, for debugging: a crash ends the build. ``auto`` is Ray where a cluster is named, and else ``inline``: on
one machine Ray gives the same bytes at the same pace, but starting its runtime takes as much computing as rendering eighty
samples.
"""

from __future__ import annotations

import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from pipelines.workers.environment import environment_digest
from stylefx.errors import DamageError, IncompleteError, StylefxError, UserError

NODE_DIED = "its node died"


class Task(Protocol):
    """What an executor must know of a task; it is hashable and can be pickled."""

    @property
    def name(self) -> str: ...


@dataclass(frozen=True)
class TaskOutcome:
    """What became of a task: a report, or how its worker died, or what error it met."""

    task: Task
    report: dict[str, Any] | None = None
    died: str | None = None
    problem: dict[str, Any] | None = None
    withdrawn: bool = False  # it never began, as was asked for


@dataclass(frozen=True)
class Guard:
    """What a worker process on a node that joins later calls before its first task: None, or a problem as a task reports it."""

    identity: str
    check: Callable[..., dict[str, Any] | None]
    arguments: tuple[Any, ...]


Work = Callable[[Any], dict[str, Any]]  # of the tasks that its maker submits


class Executor(ABC):
    """The driver hands over no more than ``workers`` tasks at a time; ``most`` is how many ran at once, where that is counted."""

    most: int = 0

    @property
    @abstractmethod
    def workers(self) -> int:
        """May change while a build runs, as nodes join and leave."""

    @abstractmethod
    def submit(self, task: Task) -> None:
        """Start a task."""

    @abstractmethod
    def wait(self, timeout_s: float) -> list[TaskOutcome]:
        """What ended since the last call; waits at most ``timeout_s``."""

    @abstractmethod
    def cancel(self, task: Task) -> None:
        """Kill the task's worker; ``wait`` then reports that it died."""

    @abstractmethod
    def close(self) -> None:
        """Stop everything, whatever runs."""

    def waiting(self) -> set[Task]:
        """Tasks that were handed over and have not begun, because no processor is free; no time limit runs for them."""
        return set()

    def withdraw(self) -> None:  # noqa: B027 - nothing waits here
        """Take the waiting tasks back; ``wait`` reports them as withdrawn."""

    def news(self) -> list[str]:
        """What became of the nodes since the last call, in words."""
        return []

    def guard(self, guard: Guard, results: list[dict[str, Any]]) -> None:  # noqa: B027 - nothing joins here
        """Have nodes that join later checked; ``results`` are of those that ``preflight`` found in order."""

    def preflight(self, check: Callable[..., dict[str, Any]], *args: Any) -> list[dict[str, Any]]:
        """Run a check once on every node; here that is this one."""
        return [check(*args)]


def outcome_of(task: Task, result: dict[str, Any]) -> TaskOutcome:
    """Sort what ``pipelines.shards.make.run_task`` returned."""
    if "problem" in result:
        return TaskOutcome(task, problem=result["problem"])
    return TaskOutcome(task, report=result)


def describe(error: BaseException) -> dict[str, Any]:
    """An unexpected error as plain data that crosses process boundaries."""
    return {
        "kind": "internal",
        "message": f"{type(error).__name__}: {error}",
        "traceback": "".join(traceback.format_exception(error)),
        "environment": environment_digest(),
    }


def reported(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The process boundary: what a task reports, or {"problem": {...}} for what stopped it; never raises."""
    try:
        return work()
    except MemoryError:
        return {"problem": {"kind": "memory", "message": "out of memory"}}
    except StylefxError as error:
        return {"problem": {"kind": "stop", "message": str(error), "exit_status": error.exit_status}}
    except Exception as error:  # noqa: BLE001 - the process boundary
        return {"problem": describe(error)}


_ERRORS: dict[int, type[StylefxError]] = {2: UserError, 3: IncompleteError, 4: DamageError}


def stop_error(problem: Mapping[str, Any], what: str) -> StylefxError:
    """What a worker met and no other task would escape, as the error that it was there."""
    if problem.get("kind") == "stop":
        return _ERRORS.get(problem["exit_status"], StylefxError)(problem["message"])
    return StylefxError(f"an internal error in {what}: {problem.get('message')}")
