"""As much of ``threading`` and ``concurrent.futures`` as the product uses, on the virtual clock."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from benchmarks.simulation.clock import Killed, Strand, strand


class Event:
    """As in ``threading``, on the virtual clock."""

    def __init__(self) -> None:
        self._set, self._waiters = False, list[Strand]()

    def is_set(self) -> bool:
        return self._set

    def set(self) -> None:
        self._set = True
        for waiter in self._waiters:
            waiter.simulation.wake(waiter)

    def wait(self, timeout_s: float | None = None) -> bool:
        here = strand()
        assert here is not None
        if not self._set:
            here.simulation.wait(self._waiters, timeout_s)
        return self._set


class Thread:
    """As in ``threading``: of the process that makes it."""

    def __init__(self, target: Callable[[], None], name: str = "", daemon: bool = True):
        self._target, self._ended, self._strand = target, Event(), None
        self._started = False

    def start(self) -> None:
        here = strand()
        assert here is not None
        assert here.process is not None
        self._started = True
        here.simulation.thread(here.process, self._run)

    def _run(self) -> None:
        self._target()
        self._ended.set()

    def is_alive(self) -> bool:
        return self._started and not self._ended.is_set()

    def join(self, timeout_s: float | None = None) -> None:
        self._ended.wait(timeout_s)


class Future:
    def __init__(self) -> None:
        self.done = False
        self._value: Any = None
        self._error: Exception | None = None
        self.waiters: list[Strand] = []

    def end(self, call: Callable[[], Any]) -> None:
        try:
            self._value = call()
        except Killed:
            raise
        except Exception as error:  # the pool hands on whatever its work raises
            self._error = error
        self.done = True
        for waiter in self.waiters:
            waiter.simulation.wake(waiter)

    def result(self) -> Any:
        while not self.done:
            strand().simulation.wait(self.waiters, None)
        if self._error is not None:
            raise self._error
        return self._value


class Pool:
    def __init__(self, count: int, thread_name_prefix: str = ""):
        self._count, self._running = count, 0
        self._queue: list[tuple[Future, Callable[[], Any]]] = []

    def submit(self, call: Callable[..., Any], *arguments: Any) -> Future:
        future = Future()
        self._queue.append((future, lambda: call(*arguments)))
        if self._running < self._count:
            self._running += 1
            here = strand()
            here.simulation.thread(here.process, self._work)
        return future

    def _work(self) -> None:
        while self._queue:
            future, call = self._queue.pop(0)
            future.end(call)
        self._running -= 1

    def map(self, call: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        futures = [self.submit(call, item) for item in items]
        return (future.result() for future in futures)

    def shutdown(self, wait: bool = True, cancel_futures: bool = False) -> None:
        self._queue.clear()

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *exception: object) -> None:
        """What was asked of ``map`` has been taken by then."""


def wait(futures: Iterable[Future], timeout: float | None = None, return_when: str = "") -> tuple[set[Future], set[Future]]:
    """Until one of them has ended, or time is up."""
    found, simulation = list(futures), strand().simulation
    waiters: list[Strand] = []
    if not any(future.done for future in found):
        for future in found:
            future.waiters = waiters
        simulation.wait(waiters, timeout)
    return {f for f in found if f.done}, {f for f in found if not f.done}
