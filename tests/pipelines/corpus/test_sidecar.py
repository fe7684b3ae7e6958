"""Sidecars: what is written is read back, also what older builds wrote."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from pipelines.corpus.sidecar import Sidecar
from stylefx.errors import DamageError

WRITTEN = Sidecar(
    name="train/train-000000", number=0, generation=0, shard_digest="d", plan_digest="p", manifest_digest="m",
    environment_digest="e", environment={"numpy": "2.0"}, planned=3,
    counts={"ok": 2, "filtered": 0, "failed": 1, "quarantined": 0},
    bytes=10, sha256="0" * 64, parquet_bytes=5, parquet_sha256="1" * 64, seconds={"write": 0.5}, wall_s=1.5, finished_s=7,
    attempts=2, node="here", peak_memory_mb=100.0,
)  # fmt: skip


def test_what_is_written_is_read_back():
    assert Sidecar.from_bytes(WRITTEN.to_bytes(), WRITTEN.name) == WRITTEN


def test_format_and_version_come_first_in_the_file():
    assert list(json.loads(WRITTEN.to_bytes()))[:3] == ["format", "version", "name"]


def test_a_sidecar_without_what_only_informs_is_read():
    data = json.loads(WRITTEN.to_bytes())
    for name in ("plan_digest", "environment", "seconds", "wall_s", "finished_s", "attempts", "node", "peak_memory_mb"):
        del data[name]
    read = Sidecar.from_bytes(json.dumps(data).encode(), WRITTEN.name)
    assert read.committed() == replace(WRITTEN, seconds={}, wall_s=0.0).committed()


@pytest.mark.parametrize("name", ["planned", "sha256", "counts", "manifest_digest", "bytes", "format"])
def test_a_sidecar_without_what_counts_is_damage(name):
    data = json.loads(WRITTEN.to_bytes())
    del data[name]
    with pytest.raises(DamageError, match=r"train-000000\.json"):
        Sidecar.from_bytes(json.dumps(data).encode(), WRITTEN.name)
