"""A stand-in for Ray on the virtual clock, under our own Ray executor: nodes with CPUs that join, die or are cut off, worker
processes that are used again, tasks that wait for a CPU, answers that take time or never come."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from benchmarks.simulation.clock import Machine, Process, Simulation, Strand, process


class RayError(Exception):
    """The root of Ray's errors; the others bear the names by which the executor tells them apart."""


_NAMES = (
    "OutOfMemoryError", "TaskCancelledError", "NodeDiedError", "LocalRayletDiedError", "RayTaskError", "RaySystemError",
    "WorkerCrashedError",
)  # fmt: skip

exceptions = SimpleNamespace(RayError=RayError, **{name: type(name, (RayError,), {}) for name in _NAMES})

_MESSAGE_S = 0.01


class Answers:
    """What a task gives back, as it reaches the driver; also the task itself while it waits or runs."""

    def __init__(self, job: Job, function: Callable[..., Any], arguments: tuple[Any, ...], streams: bool, pin: str | None):
        self.job, self.function, self.arguments, self.streams, self.pin = job, function, arguments, streams, pin
        self.items: list[Any] = []
        self.worker: Worker | None = None
        self.over = False

    def __next__(self) -> Any:
        return self.items.pop(0)

    def deliver(self, item: Any, last: bool, delay_s: float = _MESSAGE_S) -> None:
        """An answer, or an error, on its way to the driver; nothing follows the last."""
        if self.over:
            return
        self.over = last
        self.job.cluster.simulation.after(delay_s, lambda: self._arrive(item))

    def _arrive(self, item: Any) -> None:
        self.items.append(item)
        for waiter in self.job.waiters:
            waiter.simulation.wake(waiter)


class Worker:
    """A process on a node that runs one task after another of one driver."""

    def __init__(self, node: Node, job: Job):
        self.node, self.job = node, job
        self.task: Answers | None = None
        self._waiters: list[Strand] = []
        self.process = node.cluster.simulation.launch(node.machine, f"worker on {node.name}", self._body)
        self.process.memory["node"] = node
        self.process.on_death.append(self._ended)

    def run(self, task: Answers) -> None:
        self.task, task.worker = task, self
        for waiter in self._waiters:
            waiter.simulation.wake(waiter)

    def _body(self) -> None:
        while True:
            task = self.task
            if task is None:
                self.node.cluster.simulation.wait(self._waiters, None)
                continue
            result = task.function(*task.arguments)
            for item in result if task.streams else [result]:
                if not self.node.cut_off:
                    task.deliver(item, last=not task.streams)
            task.over = task.over or not self.node.cut_off
            self.task = None
            self.node.cluster.schedule()

    def _ended(self) -> None:
        self.node.workers.remove(self)
        if self.task is not None and not self.node.cut_off:
            error = self.process.memory.get("died of", exceptions.WorkerCrashedError)
            self.task.deliver(error(), last=True, delay_s=0.5)
        self.task = None
        self.node.cluster.schedule()


class Node:
    """A machine of the cluster. ``cut_off``: the cluster holds it for dead, whatever goes on there."""

    def __init__(self, cluster: Cluster, machine: Machine, cpus: int):
        self.cluster, self.machine, self.name, self.cpus = cluster, machine, machine.name, cpus
        self.workers: list[Worker] = []
        self.cut_off = False

    @property
    def free(self) -> int:
        return 0 if self.cut_off else self.cpus - sum(w.task is not None for w in self.workers)

    def leave(self, lingers_s: float = 0.0) -> None:
        """Declared dead; its processes end so many seconds later."""
        lost = [w.task for w in self.workers if w.task is not None]
        self.cut_off = True
        for task in lost:
            task.deliver(exceptions.NodeDiedError(), last=True, delay_s=1.0)
        self.cluster.fail_pinned(self.name)
        self.cluster.simulation.after(lingers_s, self._end)
        self.cluster.schedule()

    def _end(self) -> None:
        for worker in list(self.workers):
            worker.process.kill()


class Cluster:
    """All nodes, and the tasks of all drivers in the order in which they were handed over."""

    def __init__(self, simulation: Simulation):
        self.simulation = simulation
        self.nodes: list[Node] = []
        self.pending: list[Answers] = []
        self._names = itertools.count(1)

    def join(self, cpus: int, skew_s: float = 0.0) -> Node:
        node = Node(self, Machine(f"node-{next(self._names)}", skew_s), cpus)
        self.nodes.append(node)
        self.schedule()
        return node

    @property
    def living(self) -> list[Node]:
        return [node for node in self.nodes if not node.cut_off]

    def schedule(self) -> None:
        for task in list(self.pending):
            node = next((n for n in self.living if n.free > 0 and task.pin in (None, n.name)), None)
            if node is None:
                continue
            self.pending.remove(task)
            idle = next((w for w in node.workers if w.task is None and w.job is task.job and w.process.alive), None)
            if idle is None:
                idle = Worker(node, task.job)
                node.workers.append(idle)
            idle.run(task)

    def fail_pinned(self, name: str) -> None:
        for task in [t for t in self.pending if t.pin == name]:
            self.pending.remove(task)
            task.deliver(RayError("its node is gone"), last=True)

    def drop(self, job: Job, lingers_s: float) -> None:
        """A driver is gone: what waits is forgotten, its workers end so many seconds later."""
        self.pending = [task for task in self.pending if task.job is not job]

        def end() -> None:
            for node in self.nodes:
                for worker in [w for w in node.workers if w.job is job]:
                    worker.process.kill()

        self.simulation.after(lingers_s, end)


class Job:
    """The module ``ray`` as one driver sees it."""

    exceptions = exceptions

    def __init__(self, cluster: Cluster, lingers_s: float = 0.0):
        self.cluster = cluster
        self.waiters: list[Strand] = []
        here = process()
        assert here is not None
        here.on_death.append(lambda: cluster.drop(self, lingers_s))

    def is_initialized(self) -> bool:
        return True

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": float(sum(node.cpus for node in self.cluster.living))}

    def available_resources(self) -> dict[str, float]:
        return {"CPU": float(sum(node.free for node in self.cluster.living))}

    def nodes(self) -> list[dict[str, Any]]:
        return [
            {"Alive": not n.cut_off, "NodeID": n.name, "NodeManagerAddress": n.name, "Resources": {"CPU": n.cpus}}
            for n in self.cluster.nodes
        ]

    def remote(self, num_returns: Any = None, **_options: Any) -> Callable[[Callable[..., Any]], Any]:
        streams = num_returns == "streaming"

        def made(function: Callable[..., Any]) -> Any:
            def handle(pin: str | None) -> Any:
                def call(*arguments: Any) -> Answers:
                    task = Answers(self, function, arguments, streams, pin)
                    self.cluster.pending.append(task)
                    self.cluster.schedule()
                    return task

                return SimpleNamespace(remote=call, options=options)

            def options(name: str = "", scheduling_strategy: Any = None) -> Any:
                return handle(scheduling_strategy.node_id if scheduling_strategy else None)

            return handle(None)

        return made

    def wait(
        self, tasks: list[Answers], num_returns: int, timeout: float, fetch_local: bool = True
    ) -> tuple[list[Answers], list[Answers]]:
        simulation = self.cluster.simulation
        deadline_s = simulation.now_s + timeout
        while True:
            ready = [task for task in tasks if task.items]
            if len(ready) >= num_returns or simulation.now_s >= deadline_s:
                return ready, [task for task in tasks if not task.items]
            simulation.wait(self.waiters, deadline_s - simulation.now_s)

    @staticmethod
    def get(answer: Any) -> Any:
        item = answer.items[0] if isinstance(answer, Answers) else answer
        if isinstance(item, RayError):
            raise item
        return item

    def cancel(self, task: Answers, force: bool) -> None:
        if task in self.cluster.pending:
            self.cluster.pending.remove(task)
            task.deliver(exceptions.TaskCancelledError(), last=True)
        elif force and task.worker is not None and task.worker.task is task:
            worker = task.worker
            worker.process.memory["died of"] = exceptions.TaskCancelledError
            self.cluster.simulation.after(0.2, lambda: worker.task is task and worker.process.kill())

    def shutdown(self) -> None:
        """The cluster is not this driver's."""


class Affinity:
    """As Ray's ``NodeAffinitySchedulingStrategy``."""

    def __init__(self, node_id: str, soft: bool):
        self.node_id, self.soft = node_id, soft


def worker_view() -> Any:
    """The module ``ray`` as workers import it."""

    def context() -> Any:
        here: Process | None = process()
        assert here is not None
        return SimpleNamespace(get_node_id=lambda: here.memory["node"].name)

    return SimpleNamespace(get_runtime_context=context)
