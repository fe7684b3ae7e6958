"""Shard tasks in child processes of the driver, without Ray: for Slurm arrays, and where Ray is not wanted.

A child that crashes, hangs or is killed costs the driver nothing but a new child.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import time
from multiprocessing.connection import Connection, wait
from typing import Any

from pipelines.environment import ONE_THREAD
from pipelines.executors import Executor, Outcome, ShardTask, Work, describe, outcome_of

_PR_SET_PDEATHSIG = 1


def _die_with_parent(parent: int) -> None:
    """Ask Linux to kill this process when the driver is gone, so that no orphan goes on writing."""
    if sys.platform.startswith("linux"):
        import ctypes

        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it went before we asked
        os._exit(1)


def _serve(pipe: Connection, work: Work, parent: int) -> None:
    """The child: one task after another until the pipe closes. Ctrl-C and SIGTERM are the driver's business."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _die_with_parent(parent)
    while True:
        try:
            task = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            result = work(task)
        except Exception as error:  # noqa: BLE001 - the process boundary
            result = {"problem": describe(error)}
        try:
            pipe.send(result)
        except OSError:
            return


class _Child:
    """A worker process and the task that it has."""

    def __init__(self, work: Work):
        context = multiprocessing.get_context("spawn")
        self.pipe, other = context.Pipe()
        before = {name: os.environ.get(name) for name in ONE_THREAD}
        os.environ.update(ONE_THREAD)  # a spawned child takes its environment at start
        try:
            self.process = context.Process(target=_serve, args=(other, work, os.getpid()), daemon=True)
            self.process.start()
        finally:
            for name, value in before.items():
                os.environ.pop(name) if value is None else os.environ.update({name: value})
        other.close()
        self.task: ShardTask | None = None

    def how_it_died(self) -> str:
        self.process.join(5)
        code = self.process.exitcode
        if code is not None and code < 0:
            with contextlib.suppress(ValueError):
                return f"{signal.Signals(-code).name}: {signal.strsignal(-code)}"
        return f"exit status {code}"

    def kill(self) -> None:
        with contextlib.suppress(OSError):
            self.process.kill()
        self.process.join(5)
        self.pipe.close()


class InlineExecutor(Executor):
    """``workers`` child processes, started when first needed."""

    def __init__(self, work: Work, workers: int):
        self.workers, self._work = workers, work
        self._children: list[_Child] = []

    def submit(self, task: ShardTask) -> None:
        child = next((c for c in self._children if c.task is None), None)
        if child is None:
            child = _Child(self._work)
            self._children.append(child)
        child.task = task
        with contextlib.suppress(OSError):  # a child that died while idle is met in wait
            child.pipe.send(task)

    def wait(self, timeout_s: float) -> list[Outcome]:
        busy = [c for c in self._children if c.task is not None]
        if not busy:
            time.sleep(min(timeout_s, 0.05))
            return []
        handles: dict[Any, _Child] = {c.pipe: c for c in busy} | {c.process.sentinel: c for c in busy}
        ended = {id(handles[h]): handles[h] for h in wait(list(handles), timeout_s)}
        return [self._end(child) for child in ended.values()]

    def _end(self, child: _Child) -> Outcome:
        task, child.task = child.task, None
        assert task is not None
        try:
            if child.pipe.poll():
                return outcome_of(task, child.pipe.recv())
        except (EOFError, OSError):
            pass  # it closed its end by dying
        how = child.how_it_died()
        child.kill()
        self._children.remove(child)
        return Outcome(task, died=how)

    def cancel(self, task: ShardTask) -> None:
        for child in self._children:
            if child.task == task:
                child.process.kill()

    def close(self) -> None:
        for child in self._children:
            child.kill()
        self._children.clear()
