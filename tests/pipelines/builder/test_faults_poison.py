"""A sample that kills, hangs or bloats its worker is quarantined after two tries; everything else completes."""

from __future__ import annotations

import io
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipelines.builder.prepare import PrepareOptions, prepare
from pipelines.builder.progress import BuildProgress
from pipelines.plan.file import plan_overview
from pipelines.plan.samples import read_shard
from pipelines.shards.make import run_task
from pipelines.workers.direct import DirectExecutor
from pipelines.workers.executor import NODE_DIED, TaskOutcome
from stylefx.errors import IncompleteError
from tests.support.builds import hashes, manifest_for, run_build
from tests.support.poison import CHOICE, poisoned

LIMITS = {"limits": {"max_failed_share": 0.2}}


@pytest.fixture(scope="module")
def reference(sources, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("reference") / "corpus"
    run_build(manifest_for(sources, out, **LIMITS), executor="direct")
    return out


def choose(manifest, out: Path, kind: str) -> str:
    """Plan, and name the second sample of the first shard as the poison; returns its key."""
    prepare(manifest, manifest.output, PrepareOptions(workers=0))
    plan = out / "plan-0000.parquet"
    key = read_shard(plan, plan_overview(plan)[0].number)[1].key
    out.with_name(CHOICE).write_text(f"{kind} {key}")
    return key


def rows_of(out: Path) -> dict[str, dict]:
    return {row["key"]: row for path in out.glob("*/*.parquet") for row in pq.read_table(path).to_pylist()}


@pytest.mark.parametrize(
    ("kind", "executor", "reason"),
    [
        ("segfault", "inline", "SIGSEGV"),
        ("hang", "inline", "longer than 2 s"),
        ("memory", "inline", "out of memory"),
        pytest.param("segfault", "ray", "WorkerCrashedError", marks=pytest.mark.xdist_group("ray")),
    ],
)
def test_poison_is_quarantined_and_the_rest_is_as_without_it(sources, reference, tmp_path, kind, executor, reason):
    out = tmp_path / "corpus"
    manifest = manifest_for(sources, out, **LIMITS)
    key = choose(manifest, out, kind)
    log = io.StringIO()
    limits = {"sample_limit_s": 2.0 if kind == "hang" else 60.0, "memory_limit_mb": 2500}
    summary = run_build(manifest, BuildProgress("lines", log), executor=executor, workers=1, work=poisoned, **limits)
    assert summary.finished
    assert log.getvalue().count(f"died on {key}") == 2
    assert [(k, status) for k, status, _ in summary.bad] == [(key, "quarantined")]
    row = rows_of(out)[key]
    assert row["status"] == "quarantined"
    assert "2 times" in row["reason"]
    assert reason in row["reason"]
    poisoned_shard = "train/train-000000.tar"
    expected = hashes(reference)
    assert {n: h for n, h in hashes(out).items() if n != poisoned_shard} == {
        n: h for n, h in expected.items() if n != poisoned_shard
    }
    assert sum(r["status"] == "ok" for r in rows_of(out).values()) == len(rows_of(reference)) - 1


def test_a_mended_file_is_tried_again_on_demand(sources, reference, tmp_path):
    out = tmp_path / "corpus"
    manifest = manifest_for(sources, out, **LIMITS)
    choose(manifest, out, "segfault")
    run_build(manifest, executor="inline", work=poisoned)
    assert run_build(manifest, executor="direct", work=run_task).rendered_shards == 0  # not of its own accord
    summary = run_build(manifest, executor="direct", work=run_task, retry=("quarantined",))
    assert summary.rendered_shards == 1
    assert hashes(out) == hashes(reference)


def test_quarantine_above_the_manifests_limit_is_incomplete(sources, tmp_path):
    out = tmp_path / "corpus"
    manifest = manifest_for(sources, out, limits={"max_failed_share": 0.0})
    choose(manifest, out, "segfault")
    with pytest.raises(IncompleteError, match=r"1 of \d+ samples failed, more than limits.max_failed_share = 0"):
        run_build(manifest, executor="inline", work=poisoned)


def die_at_once(task):
    import os

    os._exit(9)


def test_workers_that_die_outside_any_sample_end_in_a_sentence(sources, tmp_path):
    """Finite tries: a shard whose workers die at their start is given up after three, a build after eight in a row."""
    one_shard = {"shard": {"samples": 1000}, "split": {"fractions": {"train": 1, "val": 0, "test": 0}}}
    with pytest.raises(IncompleteError, match="were given up"):
        run_build(manifest_for(sources, tmp_path / "one", **one_shard), executor="inline", work=die_at_once)
    with pytest.raises(IncompleteError, match="8 workers in a row died outside any sample"):
        run_build(manifest_for(sources, tmp_path / "many"), executor="inline", workers=3, work=die_at_once)


class OneNodeDies(DirectExecutor):
    """Twelve shards at a time; the machine that has the first twelve goes away."""

    workers, alive = 12, False

    def wait(self, timeout_s):
        if self.alive:
            return super().wait(timeout_s)
        self.alive, lost = True, [TaskOutcome(task, died=NODE_DIED) for task in self._tasks]
        self._tasks.clear()
        return lost


def test_a_machine_with_many_cores_that_goes_away_stops_no_build(sources, tmp_path):
    manifest = manifest_for(sources, tmp_path / "corpus", shard={"samples": 2}, **LIMITS)
    summary = run_build(manifest, executor="direct", opened=lambda: OneNodeDies(run_task))
    assert summary.finished
    assert summary.rendered_shards >= 12
    assert not list((tmp_path / "corpus/.build").glob("quarantine/*"))


def sleep_long(task):
    import time

    time.sleep(3600)


def test_the_driver_ends_a_shard_that_takes_too_long(sources, tmp_path):
    one_shard = {"shard": {"samples": 1000}, "split": {"fractions": {"train": 1, "val": 0, "test": 0}}}
    manifest = manifest_for(sources, tmp_path / "corpus", limits={"shard_seconds": 0.5}, **one_shard)
    with pytest.raises(IncompleteError, match="were given up"):
        run_build(manifest, executor="inline", workers=1, work=sleep_long)
