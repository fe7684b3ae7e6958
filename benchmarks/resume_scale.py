"""Resuming a corpus of very many (tiny) shards: seconds until the first new shard starts, and until all are checked.

    python -m benchmarks.resume_scale --shards 100000

The corpus is written by hand: real plan, real sidecars, tars and tables of a few bytes; one shard is missing.
"""

from __future__ import annotations

import argparse
import contextlib
import resource
import tempfile
import time
from pathlib import Path

import pyarrow as pa

from pipelines.builder.job import BuildOptions
from pipelines.builder.prepare import PrepareOptions, prepare
from pipelines.builder.progress import BuildProgress
from pipelines.builder.run import build
from pipelines.corpus.description import plan_digest
from pipelines.corpus.sidecar import Sidecar
from pipelines.manifest.model import Manifest
from pipelines.plan.file import PlanWriter, ShardInfo, plan_overview
from pipelines.plan.rows import SCHEMA
from pipelines.workers.environment import environment, environment_digest
from stylefx.errors import IncompleteError

_BATCH = 20000
_TAR, _TABLE = b"t" * 10, b"p" * 10
_started_s = [0.0]


def write_plan(path: Path, manifest: Manifest, shards: int) -> None:
    """One planned sample per shard."""
    part = {"path": "a.flac", "sha256": b"\0" * 32, "sample_rate": 24000, "channels": 1, "active_mask": 1}
    parts = [part | {"start_frame": 0, "num_frames": 300000}]
    writer = PlanWriter(path, 1, {})
    texts = {"source": "s", "group": "s/g", "label": "", "licence": "", "attribution": ""}

    def tables():
        for first in range(0, shards, _BATCH):
            numbers = range(first, min(first + _BATCH, shards))
            rows = [
                {"key": f"s-{n:016x}-00000", **texts, "pitch_cents": 0.0, "tempo": 1.0, "read_frames": 262144, "parts": parts}
                for n in numbers
            ]
            yield pa.Table.from_pylist(rows, schema=SCHEMA)

    writer.write(tables(), 0)
    writer.publish(
        {
            "generation": 0,
            "manifest": manifest.to_dict(),
            "manifest_digest": manifest.digest(),
            "recipe_digest": manifest.recipe_digest(),
            "roots": {"s": "/nowhere"},
            "summary": {},
        }
    )


def write_shard(out: Path, shard: ShardInfo, manifest_digest: str, whole_plan: str) -> None:
    sidecar = Sidecar(
        name=shard.name,
        number=shard.number,
        generation=0,
        shard_digest=shard.digest,
        plan_digest=whole_plan,
        manifest_digest=manifest_digest,
        environment_digest=environment_digest(),
        environment=environment(),
        planned=1,
        counts={"ok": 1, "filtered": 0, "failed": 0, "quarantined": 0},
        bytes=len(_TAR),
        sha256="0" * 64,
        parquet_bytes=len(_TABLE),
        parquet_sha256="0" * 64,
        seconds={},
        wall_s=1.0,
        finished_s=0,
        attempts=1,
        node="here",
        peak_memory_mb=0.0,
    )
    (out / f"{shard.name}.tar").write_bytes(_TAR)
    (out / f"{shard.name}.parquet").write_bytes(_TABLE)
    (out / f"{shard.name}.json").write_bytes(sidecar.to_bytes())


def first_shard(task) -> dict:
    """Notes when the first new shard starts, and stops the build once the sidecars are read."""
    _started_s[0] = time.perf_counter()
    return {"problem": {"kind": "stop", "message": "measured", "exit_status": 3}}


def measure(shards: int, folder: Path) -> dict[str, float]:
    out = folder / "corpus"
    (out / "train").mkdir(parents=True)
    manifest = Manifest.model_validate(
        {
            "name": "many",
            "output": str(out),
            "sources": [{"name": "s", "path": str(folder)}],
            "split": {"fractions": {"train": 1.0, "val": 0.0, "test": 0.0}},
        }
    )
    write_plan(out / "plan-0000.parquet", manifest, shards)
    infos = plan_overview(out / "plan-0000.parquet")
    whole, digest = plan_digest(infos), manifest.recipe_digest()
    for shard in infos[:-1]:
        write_shard(out, shard, digest, whole)
    start = time.perf_counter()
    prepared = prepare(manifest, str(out), PrepareOptions(workers=0))
    planned = time.perf_counter()
    options = BuildOptions(executor="direct", work=first_shard)
    with contextlib.suppress(IncompleteError):
        build(manifest, str(out), prepared.shards, options=options, progress=BuildProgress("quiet"))
    return {
        "read the plan": planned - start,
        "until the first new shard starts": _started_s[0] - start,
        "peak memory MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shards", type=int, default=100_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        for what, value in measure(options.shards, Path(name)).items():
            print(f"{what}: {value:.2f}")


if __name__ == "__main__":
    main()
