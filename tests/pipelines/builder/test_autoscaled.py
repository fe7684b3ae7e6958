"""Ray's own autoscaler brings the nodes that a build asks for, and `ray job submit` runs a build on them.

On demand (STYLEFX_PROOF=1, with `ray[default]`): its dashboard makes every start of Ray slower, in all other tests too.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pipelines.builder.progress import BuildProgress
from pipelines.shards.make import run_task
from tests.support.builds import hashes, manifest_for, run_build, write_sources
from tests.support.growing_cluster import growing_cluster

ROOT = Path(__file__).parents[3]

pytestmark = [
    pytest.mark.xdist_group("ray"),
    pytest.mark.skipif("STYLEFX_PROOF" not in os.environ, reason="STYLEFX_PROOF=1 starts a cluster that grows, for two minutes"),
]


@pytest.fixture(scope="module")
def cluster():
    """A head without a CPU, at first without nodes; at most three can come."""
    with growing_cluster(most=3) as made:
        yield made


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> Path:
    return write_sources(tmp_path_factory.mktemp("sources") / "voices", speakers=4, seconds=14.0)


@pytest.fixture(scope="module")
def undisturbed(sources, tmp_path_factory) -> dict[str, str]:
    out = tmp_path_factory.mktemp("reference") / "corpus"
    run_build(manifest_for(sources, out, shard={"samples": 2}), executor="direct")
    return hashes(out)


def until_all_have_come(task):
    """A shard whose worker waits until three are at work: the build can't end before its demand has brought them."""
    import time

    places = Path(task.out) / "at-work"
    places.mkdir(exist_ok=True)
    import ray

    (places / ray.get_runtime_context().get_node_id()).touch()
    while len(list(places.iterdir())) < 3:
        time.sleep(0.05)
    return run_task(task)


def test_demand_alone_brings_nodes_and_they_are_used(cluster, sources, undisturbed, tmp_path):
    said, out = io.StringIO(), tmp_path / "corpus"
    manifest = manifest_for(sources, out, shard={"samples": 2})
    summary = run_build(
        manifest,
        BuildProgress("lines", said),
        executor="ray",
        workers=None,
        address=cluster.address,
        work=until_all_have_come,
    )
    assert summary.finished
    assert summary.workers == 3
    assert "the cluster has 3 CPUs on 3 nodes now" in said.getvalue()
    assert hashes(out) == undisturbed


def test_ray_job_submit_builds_on_the_nodes_of_its_cluster(cluster, sources, undisturbed, tmp_path):
    out, manifest = tmp_path / "corpus", tmp_path / "manifest.yaml"
    manifest.write_text(yaml.safe_dump(manifest_for(sources, out, shard={"samples": 2}).to_dict()))
    programs = Path(sys.executable).parent
    command = [str(programs / "ray"), "job", "submit", "--address", f"http://{cluster.webui_url}", "--runtime-env-json"]
    command += [json.dumps({"env_vars": {"PYTHONPATH": str(ROOT)}}), "--", str(programs / "stylefx-pipe"), "build", str(manifest)]
    done = subprocess.run([*command, "--progress", "lines"], capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"using the Ray cluster that RAY_ADDRESS names: {cluster.address}" in done.stdout
    assert hashes(out) == undisturbed
