"""As much of Ray's interface as the executor uses, in threads of this process: nodes come and go, tasks wait for a free CPU."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any


class RayError(Exception):
    pass


class RayTaskError(RayError):
    cause = "a cause"


class TaskCancelledError(RayError):
    pass


class Answers:
    """A streaming generator: what a task yields, one after another."""

    def __init__(self) -> None:
        self.items: list[Any] = []
        self.cancelled = False

    def __next__(self) -> Any:
        return self.items.pop(0)


class FakeRay:
    """``nodes_``: {name: CPUs}. Tasks begin in the order in which they were handed over."""

    def __init__(self, nodes: dict[str, int]):
        self.cpus, self.busy = dict(nodes), dict.fromkeys(nodes, 0)
        self.lock = threading.RLock()
        self.pending: list[tuple[Callable[..., Iterator[Any]], tuple[Any, ...], Answers]] = []
        self.here = threading.local()
        names = ("OutOfMemoryError", "NodeDiedError", "LocalRayletDiedError", "RaySystemError")
        self.exceptions = SimpleNamespace(RayError=RayError, RayTaskError=RayTaskError, TaskCancelledError=TaskCancelledError)
        for name in names:
            setattr(self.exceptions, name, type(name, (RayError,), {}))
        self.demand = 0

    def is_initialized(self) -> bool:
        return True

    def join(self, name: str, cpus: int) -> None:
        with self.lock:
            self.cpus[name], self.busy[name] = cpus, 0
            self._schedule()

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": float(sum(self.cpus.values()))}

    def available_resources(self) -> dict[str, float]:
        return {"CPU": 0.0}

    def nodes(self) -> list[dict[str, Any]]:
        return [{"Alive": True, "NodeID": n, "NodeManagerAddress": n, "Resources": {"CPU": c}} for n, c in self.cpus.items()]

    def get_runtime_context(self) -> Any:
        return SimpleNamespace(get_node_id=lambda: self.here.node)

    def remote(self, **_options: Any) -> Callable[[Any], Any]:
        def made(function: Callable[..., Iterator[Any]]) -> Any:
            def call(*arguments: Any) -> Answers:
                answers = Answers()
                with self.lock:
                    self.pending.append((function, arguments, answers))
                    self.demand = max(self.demand, len(self.pending))
                    self._schedule()
                return answers

            handle = SimpleNamespace(remote=call)
            handle.options = lambda **_more: handle
            return handle

        return made

    def _schedule(self) -> None:
        for node, cpus in self.cpus.items():
            while self.pending and self.busy[node] < cpus:
                function, arguments, answers = self.pending.pop(0)
                self.busy[node] += 1
                threading.Thread(target=self._run, args=(node, function, arguments, answers), daemon=True).start()

    def _run(self, node: str, function: Callable[..., Iterator[Any]], arguments: tuple[Any, ...], answers: Answers) -> None:
        self.here.node = node
        for item in function(*arguments):
            answers.items.append(item)
        with self.lock:
            self.busy[node] -= 1
            self._schedule()

    def wait(
        self, answers: list[Answers], num_returns: int, timeout: float, fetch_local: bool = True
    ) -> tuple[list[Any], list[Any]]:
        deadline = time.monotonic() + timeout
        while True:
            ready = [a for a in answers if a.items]
            if len(ready) >= num_returns or time.monotonic() >= deadline:
                return ready, [a for a in answers if not a.items]
            time.sleep(0.001)

    def get(self, item: Any) -> Any:
        if isinstance(item, Exception):
            raise item
        return item

    def cancel(self, answers: Answers, force: bool) -> None:
        with self.lock:
            for entry in [p for p in self.pending if p[2] is answers]:
                self.pending.remove(entry)
                answers.items.append(TaskCancelledError())
