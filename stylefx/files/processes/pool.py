"""Work in several processes: one thread each, results in the order of the tasks."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from types import FrameType
from typing import Any, TypeVar

from stylefx.errors import IncompleteError
from stylefx.files.processes.spawning import without_the_script

R = TypeVar("R")
Report = Callable[[int], None]


def in_processes(
    function: Callable[..., R],
    tasks: Sequence[tuple[Any, ...]],
    processes: int,
    report: Report = lambda done: None,
    start: Callable[..., None] | None = None,
    arguments: tuple[Any, ...] = (),
) -> list[R]:
    """``function(*task)`` of every task; ``start(*arguments)`` prepares a process. One process: here, without preparation.

    IncompleteError where a process died.
    """
    if processes <= 1:
        found = []
        for done, task in enumerate(tasks, start=1):
            found.append(function(*task))
            report(done)
        return found
    context = multiprocessing.get_context("spawn")
    others = set(multiprocessing.active_children())
    with ProcessPoolExecutor(processes, context, _begin, (start, arguments)) as pool:
        try:
            with without_the_script():
                futures = [pool.submit(function, *task) for task in tasks]
            for done, future in enumerate(as_completed(futures), start=1):
                future.result()
                report(done)
        except BrokenProcessPool as error:
            raise IncompleteError("a process died (out of memory?); run the same command again, with --jobs 1") from error
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for child in set(multiprocessing.active_children()) - others:
                child.terminate()
            raise
        return [future.result() for future in futures]


def _begin(start: Callable[..., None] | None, arguments: tuple[Any, ...]) -> None:
    """In a process of the pool: Ctrl-C is the parent's business, and its SIGTERM cleans up."""

    def end(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, end)
    if start is not None:
        start(*arguments)
