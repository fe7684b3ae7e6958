"""A shard that another worker committed meanwhile stays as it is; one that is not whole is rendered again."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.shards import make
from pipelines.shards.journal import quarantine, quarantined
from pipelines.shards.task import ShardTask
from pipelines.storage.local import LocalStorage
from tests.support.builds import manifest_for, run_build, write_sources


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> ShardTask:
    """The task of one shard of a corpus that is there."""
    folder, tasks = tmp_path_factory.mktemp("committed"), []

    def work(task):
        tasks.append(task)
        return make.run_task(task)

    run_build(manifest_for(write_sources(folder / "voices", speakers=3), folder / "c"), executor="direct", work=work)
    return tasks[0]


def files(task: ShardTask) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in (Path(task.out) / f"{task.name}{end}" for end in (".tar", ".parquet", ".json"))}


def blaming(task: ShardTask) -> ShardTask:
    """As it is given out again when its first sample is thought to have ended a worker."""
    import pyarrow.parquet as pq

    key = pq.read_table(Path(task.out) / f"{task.name}.parquet", columns=["key"])["key"][0].as_py()
    return replace(task, attempt=1, skip=((key, "it ended its worker 2 times"),))


def test_a_shard_that_was_committed_before_is_reported_as_it_is(built):
    """And nobody is blamed any more: the sample that was thought to end workers is in it."""
    before, task, storage = files(built), blaming(built), LocalStorage(built.out)
    quarantine(storage, task.name, dict(task.skip))
    report = make.run_task(task)
    assert files(built) == before
    assert quarantined(storage, task.name) == {}
    assert report["sidecar"].sha256 == json.loads(before[Path(built.out) / f"{built.name}.json"])["sha256"]
    assert report["sidecar"].counts["quarantined"] == 0


def test_a_shard_that_is_committed_while_it_is_rendered_stays_too(built, monkeypatch):
    before, task, render = files(built), blaming(built), make.render_sample
    for path in before:
        path.unlink()

    def beside_another(*arguments, **options):
        for path, data in before.items():
            path.write_bytes(data)
        return render(*arguments, **options)

    monkeypatch.setattr(make, "render_sample", beside_another)
    report = make.run_task(task)
    assert files(built) == before
    assert report["sidecar"].counts["quarantined"] == 0


@pytest.mark.parametrize("harm", ["longer", "another", "gone", "of another plan"])
def test_what_is_not_whole_or_not_the_same_is_rendered_again(built, harm):
    before, task = files(built), replace(built, attempt=3)
    tar = Path(built.out) / f"{built.name}.tar"
    if harm == "gone":
        tar.unlink()
    elif harm == "of another plan":
        task = replace(task, shard_digest="0" * 64)
    else:
        tar.write_bytes(before[tar] + b"\0" if harm == "longer" else before[tar][:-1] + b"x")
    assert make.run_task(task)["sidecar"].attempts == 4
    assert files(built)[tar] == before[tar]
