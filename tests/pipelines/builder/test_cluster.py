"""Several Ray nodes on one machine: preflight of each, and one that dies during the build."""

from __future__ import annotations

import io
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipelines.builder import preflight as preflight_module
from pipelines.builder.preflight import preflight
from pipelines.builder.progress import BuildProgress
from pipelines.shards.make import run_task
from pipelines.storage.local import LocalStorage
from pipelines.workers.ray import RayExecutor
from stylefx.errors import UserError
from tests.support.builds import hashes, manifest_for, run_build, write_sources

pytestmark = pytest.mark.xdist_group("ray")


@pytest.fixture(scope="module")
def cluster():
    """A head without processors and two nodes with one each."""
    import os

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    from ray.cluster_utils import Cluster

    small = {"object_store_memory": 80 << 20, "include_dashboard": False}
    quick = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 500, "health_check_failure_threshold": 4}
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "_system_config": quick, **small})
    nodes = [made.add_node(num_cpus=1, object_store_memory=80 << 20) for _ in range(2)]
    made.wait_for_nodes()
    yield made, nodes
    made.shutdown()


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> Path:
    return write_sources(tmp_path_factory.mktemp("sources") / "voices", speakers=4, seconds=14.0)


def lacking_mount(*arguments):
    """A node's preflight where the sources are not mounted."""
    manifest, out, _ = arguments
    return preflight_module.check_node(manifest, out, ("/nowhere/voice.wav",))


def test_every_node_is_checked_and_named(cluster, sources, tmp_path, monkeypatch):
    made, _ = cluster
    manifest = manifest_for(sources, tmp_path / "c")
    executor = RayExecutor(run_task, None, made.address)
    try:
        results = preflight(manifest, LocalStorage(tmp_path / "c"), executor, (str(next(sources.rglob("long.wav"))),))
        assert len(results) == 2
        assert len({r["environment_digest"] for r in results}) == 1
        monkeypatch.setattr(preflight_module, "check_node", lacking_mount)
        with pytest.raises(UserError, match=r"node .* cannot take part: /nowhere/voice.wav: no such file; mount the sources"):
            preflight(manifest, LocalStorage(tmp_path / "c"), executor, ())
    finally:
        executor.close()


def unhurried(task):
    """A shard that takes long enough for nodes to join meanwhile."""
    time.sleep(0.5)
    return run_task(task)


def unhurried_and_noted(task):
    """The node is noted beside the corpus."""
    import ray

    (Path(task.out).with_name("begun") / ray.get_runtime_context().get_node_id()).touch()
    return unhurried(task)


def test_a_node_that_dies_costs_nothing_but_time(cluster, sources, tmp_path):
    """It dies when both have work, of which the driver has heard by then, and something is committed."""
    made, nodes = cluster
    reference = tmp_path / "reference"
    run_build(manifest_for(sources, reference), executor="direct")
    out, begun = tmp_path / "corpus", tmp_path / "begun"
    begun.mkdir()
    killed, over = threading.Event(), threading.Event()

    def kill_one():
        while not list(out.glob("*/*.json")) or len(list(begun.iterdir())) < 2:
            if over.wait(0.01):
                return
        time.sleep(0.25)
        made.remove_node(nodes[0], allow_graceful=False)
        killed.set()

    thread = threading.Thread(target=kill_one)
    thread.start()
    on_ray = {"executor": "ray", "workers": None, "address": made.address, "work": unhurried_and_noted}
    try:
        summary = run_build(manifest_for(sources, out), **on_ray)
    finally:
        over.set()
        thread.join()
    assert killed.is_set()
    assert summary.finished
    assert summary.workers == 2
    assert summary.tally.counts["ok"] == summary.tally.samples
    assert hashes(out) == hashes(reference)


def test_nodes_that_join_are_checked_and_used_and_those_that_leave_are_said(sources, cluster, tmp_path):
    """One CPU at the start, two more once shards are there; what waits for a node is said, and no time limit runs for it."""
    made, _ = cluster
    for node in list(made.worker_nodes):
        made.remove_node(node)
    out, said = tmp_path / "corpus", io.StringIO()
    manifest = manifest_for(sources, out, shard={"samples": 1}, limits={"shard_seconds": 60.0})
    progress = BuildProgress("lines", said)
    with ThreadPoolExecutor(1) as beside:  # Ray starts nodes in the main thread only
        built = beside.submit(run_build, manifest, progress, executor="ray", workers=None, address=made.address, work=unhurried)
        made.add_node(num_cpus=1, object_store_memory=80 << 20)
        while not built.done() and not list(out.glob("*/*.json")):
            time.sleep(0.01)
        for _ in range(2):
            made.add_node(num_cpus=1, object_store_memory=80 << 20)
        summary = built.result()
    assert summary.finished
    assert summary.workers == 3
    assert "the cluster has 3 CPUs on 3 nodes now" in said.getvalue()
    assert "worker died" not in said.getvalue()
    reference = tmp_path / "reference"
    run_build(manifest_for(sources, reference, shard={"samples": 1}), executor="direct")
    assert hashes(out) == hashes(reference)
