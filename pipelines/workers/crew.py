"""Child processes that call one function after another for their driver: for scanning, and after that for rendering.

The command forks its workers once everything is imported and before any thread runs, so that they start in milliseconds with
every kernel loaded. Later ones, and those of other programs, are spawned: a process with threads must not be forked. They do not
run the caller's script again, so that it needs no ``__main__`` guard.
A worker that crashes, hangs or is killed costs the driver nothing but a new worker.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from pipelines.workers.environment import ONE_THREAD
from stylefx.files.processes.spawning import without_the_script

if TYPE_CHECKING:
    from multiprocessing.context import ForkContext, SpawnContext

_PR_SET_PDEATHSIG = 1


def _may_fork() -> bool:
    """Whether this process has one thread only, counted by the kernel. Elsewhere than on Linux nothing is forked."""
    return sys.platform.startswith("linux") and hasattr(os, "fork") and len(os.listdir("/proc/self/task")) == 1


def _die_with_parent(parent: int) -> None:
    """Ask Linux to kill this process when the driver is gone, so that no orphan goes on writing."""
    if sys.platform.startswith("linux"):
        import ctypes

        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it went before we asked
        os._exit(1)


class _NoPandas:
    """An importer that knows for certain that there is no pandas."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> None:
        if name == "pandas":
            raise ModuleNotFoundError("pandas is left out here", name=name)


def leave_pandas_out() -> None:
    """Keep pyarrow from importing pandas, which it does with the first list it is given: 0.3 s and 40 MB that nothing here
    needs. For processes of our own: what wants pandas later can import it, but pyarrow no longer knows its columns."""
    if "pandas" in sys.modules:
        return
    import pyarrow

    sys.meta_path.insert(0, _NoPandas)
    try:
        pyarrow.array([0])  # it looks once
    finally:
        sys.meta_path.remove(_NoPandas)


def become_worker() -> None:
    """One thread, also where the libraries are loaded already, and no pandas."""
    os.environ.update(ONE_THREAD)
    leave_pandas_out()
    sys.modules["pyarrow"].set_cpu_count(1)


def _serve(pipe: Connection, parent: int, not_ours: Sequence[Connection]) -> None:
    """The worker: one (function, argument) after another until the pipe closes. Ctrl-C and SIGTERM are the driver's business."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _die_with_parent(parent)
    for connection in not_ours:  # a forked worker that kept them would hide the driver's end from the others
        connection.close()
    become_worker()
    with contextlib.suppress(EOFError, OSError):
        pipe.send(None)  # ready
        while True:
            function, argument = pipe.recv()
            pipe.send(function(argument))


@contextlib.contextmanager
def _one_thread_environment() -> Iterator[None]:
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(ONE_THREAD)  # a spawned child takes its environment at start
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


class Worker:
    """A child process and the job it has; ``job`` (None: idle) and ``cancelled`` belong to whoever hired it."""

    def __init__(self, fork: bool = False, others: Sequence[Worker] = ()):
        context: ForkContext | SpawnContext
        context = multiprocessing.get_context("fork") if fork else multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        not_ours = [self.pipe, *(other.pipe for other in others)] if fork else []
        with _one_thread_environment(), without_the_script():
            self.process = context.Process(target=_serve, args=(theirs, os.getpid(), not_ours), daemon=True)
            self.process.start()
        theirs.close()
        self.ready = self.cancelled = False
        self.job: Any = None

    def call(self, function: Callable[[Any], Any], argument: Any) -> None:
        """Begin a call; what it returns comes out of ``receive``. It must not raise. Death is noticed there too."""
        with contextlib.suppress(OSError):
            self.pipe.send((function, argument))

    def receive(self) -> list[Any]:
        """[what the call returned], or [] when the worker only said that it started. EOFError or OSError: it died."""
        result = self.pipe.recv()
        if self.ready:
            return [result]
        self.ready = True
        return []

    def how_it_died(self) -> str:
        """Of a worker whose pipe broke: the signal or the exit status."""
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


class Crew:
    """Idle workers, handed on from one use to the next; a context manager that ends them."""

    def __init__(self) -> None:
        self._idle: list[Worker] = []

    def fork(self, count: int) -> None:
        """Have ``count`` copies of this process ready, where it may be copied; else workers are spawned when they are hired."""
        while len(self._idle) < count and _may_fork():
            self._idle.append(Worker(fork=True, others=self._idle))

    def hire(self) -> Worker:
        """A worker that lives, new if need be."""
        while self._idle:
            worker = self._idle.pop(0)
            if worker.process.is_alive():
                return worker
            worker.kill()
        return Worker()

    def dismiss(self, worker: Worker) -> None:
        """Take a worker back; one that still has a job is ended."""
        if worker.job is None:
            self._idle.append(worker)
        else:
            worker.kill()

    def close(self) -> None:
        for worker in self._idle:
            worker.kill()
        self._idle.clear()

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
