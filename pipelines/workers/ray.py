"""Shard tasks as Ray core tasks: on this machine's cores, or on the cluster at an address.

Ray retries nothing by itself here: the driver counts attempts, so that they are finite and a poisonous sample is found. On a
cluster more tasks are handed over than it has processors: those that wait are the demand by which an autoscaler adds nodes. A
task first says that it has begun, so that no time limit runs while it waits; what joins later is checked before its first shard.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from pipelines.workers.crew import become_worker
from pipelines.workers.environment import ONE_THREAD
from pipelines.workers.executor import NODE_DIED, Executor, Guard, Task, TaskOutcome, Work, outcome_of
from pipelines.workers.runtime import LOCAL, connect, did_not_start, import_ray, start_private
from stylefx.errors import IncompleteError

_DEMAND = 256  # tasks that wait for nodes, at least; as many as there are processors where those are more

_LOOK_EVERY_S = 2.0  # at the cluster's size

_CHECK_S = 300.0  # of a node, the wait for a CPU included

_LATE = f"its check did not end within {_CHECK_S:g} s; when its CPUs are free again, run the same command again"

_SAY_AFTER_S, _SAY_EVERY_S = 10.0, 60.0  # that nothing can begin


@dataclass
class _Flight:
    """A task on its way: what Ray answers through, since when it runs, and whether the driver wants it back."""

    answers: Any
    begun_s: float | None = None
    withdrawn: bool = False


_passed: set[str] = set()  # checks that this worker process has passed


def _in_worker(work: Work, guard: Guard | None, checked: frozenset[str]) -> Callable[[Task], Iterator[dict[str, Any]]]:
    """``checked``: nodes that need no guard any more."""

    def shard(task: Task) -> Iterator[dict[str, Any]]:
        import ray

        node = ray.get_runtime_context().get_node_id()
        yield {"node": node}
        become_worker()
        if guard is not None and node not in checked and guard.identity not in _passed:
            problem = guard.check(*guard.arguments)
            if problem is not None:
                yield {"problem": problem}
                return
            _passed.add(guard.identity)
        yield work(task)

    return shard


class RayExecutor(Executor):
    """One Ray task per shard, one CPU each."""

    def __init__(self, work: Work, workers: int | None, address: str | None, warm: Callable[[], None] = become_worker):
        ray = import_ray()
        self._ray, self._owner, self._ceiling = ray, False, workers
        self._flights: dict[Task, _Flight] = {}
        self._folder: str | None = None
        self._environment: dict[str, Any] = {}
        # Ray's client knows no answers before the end: tasks sent through it are taken to begin at once
        self._streams = not (address or "").startswith("ray://")
        self._grows = True
        if ray.is_initialized():  # a caller's own cluster, as in tests and notebooks
            pass
        elif address and address != LOCAL:
            self._environment = {"env_vars": ONE_THREAD}
            connect(ray, address)
            self._owner = True
        else:
            self._folder = start_private(ray, workers or os.cpu_count() or 1)
            self._owner, self._grows = True, False
        try:
            self._cpus = int(ray.cluster_resources().get("CPU", 0))
            idle = int(ray.available_resources().get("CPU", 0))
        except ray.exceptions.RaySystemError as error:
            self.close()
            raise did_not_start(error) from error
        self._looked_s = self._idle_since_s = time.monotonic()
        self._said_s = 0.0
        self._news: list[str] = []
        self.most = 0
        self._work = work
        self._export(None, frozenset())
        warming = ray.remote(max_retries=0, num_cpus=1, runtime_env=self._environment)(warm)
        self._warming = [warming.remote() for _ in range(min(idle, self.workers))]

    def _export(self, guard: Guard | None, checked: frozenset[str]) -> None:
        options: dict[str, Any] = {"max_retries": 0, "num_cpus": 1, "runtime_env": self._environment}
        task = _in_worker(self._work, guard, checked)
        if self._streams:
            self._remote = self._ray.remote(num_returns="streaming", **options)(task)
        else:
            self._remote = self._ray.remote(**options)(lambda given: list(task(given))[-1])

    @property
    def workers(self) -> int:
        """How many tasks may be handed over: those that can run, and those that show what is wanted."""
        cpus = max(self._cpus, 1)
        wanted = cpus + max(_DEMAND, cpus) if self._grows and self._streams else cpus
        return min(wanted, self._ceiling) if self._ceiling else wanted

    def submit(self, task: Task) -> None:
        begun_s = None if self._streams else time.monotonic()
        self._flights[task] = _Flight(self._remote.options(name=task.name).remote(task), begun_s)

    def waiting(self) -> set[Task]:
        return {task for task, flight in self._flights.items() if flight.begun_s is None}

    def withdraw(self) -> None:
        for flight in self._flights.values():
            if flight.begun_s is None and not flight.withdrawn:
                flight.withdrawn = True
                self._ray.cancel(flight.answers, force=False)

    def wait(self, timeout_s: float) -> list[TaskOutcome]:
        self._look()
        if not self._flights:
            return []
        by_answer = {flight.answers: task for task, flight in self._flights.items()}
        ready, _ = self._ray.wait(list(by_answer), num_returns=1, timeout=timeout_s, fetch_local=False)
        if not ready:
            self._check_runtime()
        else:
            more, _ = self._ray.wait(list(by_answer), num_returns=len(by_answer), timeout=0, fetch_local=False)
            ready = more or ready
        return [outcome for answer in ready for outcome in self._heard(by_answer[answer])]

    def _heard(self, task: Task) -> list[TaskOutcome]:
        """What an answer means: nothing yet where the task only says that it begins."""
        flight, errors = self._flights[task], self._ray.exceptions
        try:
            answer = self._ray.get(next(flight.answers) if self._streams else flight.answers)
            if "node" in answer:
                flight.begun_s = self._idle_since_s = time.monotonic()
                self.most = max(self.most, sum(f.begun_s is not None for f in self._flights.values()))
                return []
            outcome = outcome_of(task, answer)
        except errors.OutOfMemoryError:
            outcome = TaskOutcome(task, died="out of memory")
        except (errors.TaskCancelledError, StopIteration):
            outcome = TaskOutcome(task, died="cancelled", withdrawn=flight.withdrawn)
        except (errors.NodeDiedError, errors.LocalRayletDiedError):
            outcome = TaskOutcome(task, died=NODE_DIED)
        except errors.RayTaskError as error:  # the work itself raised, outside its own boundary
            outcome = TaskOutcome(task, problem={"kind": "internal", "message": str(error.cause), "traceback": str(error)})
        except errors.RayError as error:
            self._check_runtime()
            outcome = TaskOutcome(task, died=type(error).__name__)
        del self._flights[task]
        return [outcome]

    def _look(self) -> None:
        """Now and then: whether nodes joined or left, and whether tasks wait for some."""
        now = time.monotonic()
        if not self._grows or now - self._looked_s < _LOOK_EVERY_S:
            return
        self._looked_s, before = now, self._cpus
        nodes = [n for n in self._ray.nodes() if n["Alive"] and n["Resources"].get("CPU")]
        self._cpus = int(sum(n["Resources"]["CPU"] for n in nodes))
        if self._cpus != before:
            self._news.append(f"the cluster has {self._cpus} CPUs on {len(nodes)} nodes now, {before} before")
        waiting = len(self.waiting())
        if (
            waiting == len(self._flights)
            and waiting
            and now - max(self._idle_since_s, self._said_s + _SAY_EVERY_S) > _SAY_AFTER_S
        ):
            self._said_s = now
            self._news.append(
                f"waiting for nodes: {waiting} tasks ask for a CPU each, none of the cluster's {self._cpus} is free"
            )

    def news(self) -> list[str]:
        news, self._news = self._news, []
        return news

    def _check_runtime(self) -> None:
        """The processes of a private runtime are ours to watch; without them no task ever ends."""
        node = getattr(self._ray._private.worker, "_global_node", None) if self._folder else None
        if node is not None and node.dead_processes():
            names = ", ".join(sorted({str(name) for name, _ in node.dead_processes()}))
            raise IncompleteError(f"Ray's own processes died ({names}); run the same command again to resume")

    def cancel(self, task: Task) -> None:
        if task in self._flights:
            self._ray.cancel(self._flights[task].answers, force=True)

    def close(self) -> None:
        for flight in self._flights.values():
            self._ray.cancel(flight.answers, force=True)
        self._flights.clear()
        if self._owner:
            self._ray.shutdown()
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)

    def preflight(self, check: Callable[..., dict[str, Any]], *args: Any) -> list[dict[str, Any]]:
        """The check once on every live node, pinned there."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        remote = self._ray.remote(max_retries=1, num_cpus=1, runtime_env=self._environment)(check)
        nodes = [node for node in self._ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]
        refs = {}
        for node in nodes:
            strategy = NodeAffinitySchedulingStrategy(node_id=node["NodeID"], soft=False)
            refs[remote.options(scheduling_strategy=strategy).remote(*args)] = node
        ready, pending = self._ray.wait(list(refs), num_returns=max(1, len(refs)), timeout=_CHECK_S) if refs else ([], [])
        out = []
        for ref in ready:
            name = {"node": refs[ref]["NodeManagerAddress"], "id": refs[ref]["NodeID"]}
            try:
                out.append({**name, **self._ray.get(ref)})
            except self._ray.exceptions.RayError as error:
                if not any(node["Alive"] for node in self._ray.nodes() if node["NodeID"] == name["id"]):
                    continue  # it left meanwhile, and takes no part
                cause = getattr(error, "cause", None)
                out.append({**name, "problem": f"the check did not run: {cause or type(error).__name__}"})
        late = {"problem": _LATE, "exit_status": IncompleteError.exit_status}
        return out + [{"node": refs[ref]["NodeManagerAddress"], **late} for ref in pending]

    def guard(self, guard: Guard, results: list[dict[str, Any]]) -> None:
        self._export(guard, frozenset(result["id"] for result in results))
