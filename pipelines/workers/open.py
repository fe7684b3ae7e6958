"""Executors by name."""

from __future__ import annotations

import sys
from collections.abc import Callable

from pipelines.workers.crew import Crew, become_worker
from pipelines.workers.direct import DirectExecutor
from pipelines.workers.executor import Executor, Work
from stylefx.errors import UserError
from stylefx.files.processes.cores import cores

EXECUTORS = ("auto", "ray", "inline", "direct")


def choose_executor(kind: str, address: str | None = None) -> str:
    """What ``auto`` stands for here; other names stay what they are."""
    if kind != "auto":
        return kind
    connected = "ray" in sys.modules and sys.modules["ray"].is_initialized()  # a caller's own cluster, as in notebooks
    return "ray" if address or connected else "inline"


def open_executor(
    kind: str,
    work: Work,
    workers: int | None,
    address: str | None = None,
    crew: Crew | None = None,
    warm: Callable[[], None] = become_worker,
) -> Executor:
    """The executor of this name; Ray is imported only when it is asked for. ``crew``: workers that run already; ``warm``: what a
    Ray worker does as soon as it runs."""
    kind = choose_executor(kind, address)
    if kind == "ray":
        from pipelines.workers.ray import RayExecutor

        return RayExecutor(work, workers, address, warm)
    if address:
        raise UserError(f"--address {address} needs --executor ray, not {kind}")
    if kind == "inline":
        from pipelines.workers.inline import InlineExecutor

        return InlineExecutor(work, workers or cores(), crew)
    if kind == "direct":
        return DirectExecutor(work)
    raise UserError(f"there is no executor {kind!r}; choose one of {', '.join(EXECUTORS)}")
