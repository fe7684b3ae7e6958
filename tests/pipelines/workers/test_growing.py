"""What the Ray executor does with nodes that come, on a stand-in for Ray that schedules in threads; test_cluster.py has Ray."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator

import pytest

from pipelines.workers import ray as module
from pipelines.workers.executor import Guard
from pipelines.workers.ray import RayExecutor
from tests.pipelines.workers.test_executors import task
from tests.support.fake_ray import FakeRay


@pytest.fixture
def cluster(monkeypatch) -> Iterator[FakeRay]:
    fake = FakeRay({"first": 1})
    monkeypatch.setitem(sys.modules, "ray", fake)
    monkeypatch.setattr(module, "import_ray", lambda: fake)
    monkeypatch.setattr(module, "_LOOK_EVERY_S", 0.0)
    monkeypatch.setattr(module, "become_worker", lambda: None)
    monkeypatch.setattr(module, "_passed", set())
    return fake


def slow(given) -> dict:
    time.sleep(0.05)
    return {"number": given.number}


def finished(executor: RayExecutor, count: int) -> list:
    out, deadline = [], time.monotonic() + 20
    while len(out) < count:
        assert time.monotonic() < deadline
        out += executor.wait(0.01)
    return out


def test_tasks_that_wait_show_what_is_wanted_and_begin_on_nodes_that_join(cluster):
    executor = RayExecutor(slow, None, "host:6379")
    cluster.pending.clear()
    assert executor.workers > 200
    for number in range(12):
        executor.submit(task(number))
    assert len(cluster.pending) == 11  # what an autoscaler sees
    executor.wait(0.02)
    assert len(executor.waiting()) == 11
    cluster.join("second", 3)
    outcomes = finished(executor, 12)
    assert sorted(o.report["number"] for o in outcomes) == list(range(12))
    assert executor.most == 4
    assert "the cluster has 4 CPUs on 2 nodes now, 1 before" in executor.news()


def test_workers_is_a_ceiling_of_all_that_is_handed_over(cluster):
    cluster.join("second", 7)
    assert RayExecutor(slow, 3, "host:6379").workers == 3


def test_a_build_that_waits_for_nodes_says_so_and_says_it_once(cluster, monkeypatch):
    monkeypatch.setattr(module, "_SAY_AFTER_S", 0.05)
    cluster.cpus["first"] = 0
    executor = RayExecutor(slow, None, "host:6379")
    for number in range(5):
        executor.submit(task(number))
    time.sleep(0.1)
    for _ in range(3):
        executor.wait(0.0)
    assert executor.news() == ["waiting for nodes: 5 tasks ask for a CPU each, none of the cluster's 0 is free"]


def test_a_stopping_build_takes_back_what_has_not_begun(cluster):
    executor = RayExecutor(slow, None, "host:6379")
    for number in range(6):
        executor.submit(task(number))
    executor.wait(0.02)
    begun = 6 - len(executor.waiting())
    executor.withdraw()
    outcomes = finished(executor, 6)
    assert sum(o.withdrawn for o in outcomes) == 6 - begun
    assert sum(o.report is not None for o in outcomes) == begun


def test_a_node_that_joins_is_checked_before_its_first_shard_and_a_wrong_one_renders_nothing(cluster):
    rendered = []
    executor = RayExecutor(lambda given: rendered.append(given.number) or slow(given), None, "host:6379")
    cluster.cpus["first"] = 0
    problem = {"kind": "stop", "message": "node second cannot take part: no sources", "exit_status": 2}
    executor.guard(Guard("one", lambda word: problem if word == "bad" else None, ("bad",)), [{"id": "first"}])
    executor.submit(task(0))
    cluster.join("second", 1)
    assert finished(executor, 1)[0].problem == problem
    assert rendered == []


def test_a_node_that_passes_is_checked_once_and_those_of_the_start_not_again(cluster):
    checks = []
    executor = RayExecutor(slow, None, "host:6379")
    executor.guard(Guard("two", lambda: checks.append(1), ()), [{"id": "first"}])
    for number in range(3):
        executor.submit(task(number))
    finished(executor, 3)
    assert checks == []
    cluster.cpus["first"] = 0
    cluster.join("second", 1)
    for number in range(3, 6):
        executor.submit(task(number))
    finished(executor, 3)
    assert checks == [1]
