"""Plan a synthetic collection of any size: time, peak memory, disk.

    python -m benchmarks.plan_scale 10000000 --folder /tmp/plan-scale

Four recordings of five last a minute or so, the fifth is a short clip that is joined with others of its speaker; ten
per cent of all windows are silent, one recording of a hundred is a copy. 24 kHz, halves of 131072 frames: about five
segments to a recording. The catalog is written first, by this process's child, and is not part of the measurement.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.catalog.file import CATALOG_FORMAT, SCHEMA, sources_digest
from pipelines.manifest.model import Manifest
from pipelines.plan.hash import mix64
from pipelines.plan.make import make_plan
from pipelines.plan.samples import read_shard

_ROWS = 1 << 15
_RATE, _WINDOW = 24000, 1200


def manifest(samples_per_shard: int) -> Manifest:
    return Manifest.model_validate(
        {
            "name": "scale",
            "output": "out",
            "sources": [{"name": "s", "path": "/data", "licence": "CC0-1.0", "attribution": "nobody"}],
            "shard": {"samples": samples_per_shard},
        }
    )


def write_catalog(path: Path, n: int, m: Manifest) -> None:
    meta = json.dumps({"format": CATALOG_FORMAT, "sources": sources_digest(m)})
    template = np.where(np.random.default_rng(0).random(1 << 20) < 0.1, 0, 160).astype(np.uint8)
    with pq.ParquetWriter(path, SCHEMA.with_metadata({"stylefx_catalog": meta}), compression="zstd") as writer:
        for start in range(0, n, _ROWS):
            writer.write_table(_rows(np.arange(start, min(n, start + _ROWS)), template, max(1, n // 200)))


def _rows(ids: np.ndarray, template: np.ndarray, groups: int) -> pa.Table:
    count = len(ids)
    words = mix64(ids.astype(np.uint64))
    unit = (words >> np.uint64(11)) * 2.0**-53
    seconds = np.where(ids % 5 == 4, 2.0 + 6.0 * unit, 50.0 + 40.0 * unit)
    windows = np.ceil(seconds * 20).astype(np.int64)
    offsets = np.concatenate([[0], np.cumsum(windows)])
    at = np.repeat((words % np.uint64(len(template) - 2000)).astype(np.int64) - offsets[:-1], windows) + np.arange(offsets[-1])
    speaker = ids // 200 % groups  # files lie speaker by speaker, as they do on disks
    activity = pa.BinaryArray.from_buffers(
        pa.binary(), count, [None, pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(template[at])]
    )
    group = pc.binary_join_element_wise("s/", pc.utf8_lpad(pa.array(speaker).cast(pa.string()), 7, "0"), "")
    name = pc.utf8_lpad(pa.array(ids).cast(pa.string()), 9, "0")
    content = np.stack([np.where(ids % 100 == 99, words[0], words), words], axis=1)
    content[ids % 100 == 99, 1] = 7
    fixed = {"label": "", "licence": "CC0-1.0", "attribution": "nobody", "source": "s", "error": ""}
    columns = {k: pa.repeat(pa.scalar(v), count) for k, v in fixed.items()}
    columns |= {
        "path": pc.binary_join_element_wise(group, name, "/"),
        "group": group,
        "size": pa.array(ids),
        "mtime_ns": pa.array(ids),
        "identity": pa.array(mix64(words)),
        "sha256": _binary(np.stack([words, mix64(words + np.uint64(1)), words, words], axis=1), 32),
        "content": _binary(content, 16),
        "sample_rate": pa.array(np.full(count, _RATE, np.int32)),
        "channels": pa.array(np.ones(count, np.int32)),
        "frames": pa.array((seconds * _RATE).astype(np.int64)),
        "active_mask": pa.array(np.ones(count, np.int64)),
        "window_frames": pa.array(np.full(count, _WINDOW, np.int32)),
        "activity": activity,
    }
    for field in SCHEMA:
        if field.name not in columns:
            columns[field.name] = pa.array(unit.astype(np.float32))
    return pa.table([columns[f.name] for f in SCHEMA], schema=SCHEMA)


def _binary(values: np.ndarray, width: int) -> pa.Array:
    return pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(width), len(values), [None, pa.py_buffer(np.ascontiguousarray(values.astype(np.uint64)))]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recordings", type=int, nargs="?", default=100_000)
    parser.add_argument("--folder", type=Path, default=Path("plan-scale"))
    parser.add_argument("--shard-samples", type=int, default=1024)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    catalog, target = arguments.folder / f"catalog-{arguments.recordings}.parquet", arguments.folder / "plan.parquet"
    m = manifest(arguments.shard_samples)
    if not catalog.exists():
        child = multiprocessing.get_context("spawn").Process(target=write_catalog, args=(catalog, arguments.recordings, m))
        child.start()
        child.join()
    started = time.perf_counter()
    summary = make_plan(m, catalog, target)
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    started = time.perf_counter()
    read_shard(target, summary.splits["train"]["shards"] // 2)
    first = time.perf_counter() - started
    print(f"recordings {arguments.recordings:,}  segments {summary.samples:,}  hours {summary.hours:,.0f}")
    print(f"plan {seconds:.1f} s  ({seconds / arguments.recordings * 1e6:.2f} us per recording)  peak memory {peak:.2f} GB")
    print(f"catalog {catalog.stat().st_size / 2**20:,.0f} MB  plan {target.stat().st_size / 2**20:,.0f} MB")
    print(f"a worker's first shard: {first * 1e3:.0f} ms to open the plan and read {arguments.shard_samples} samples")


if __name__ == "__main__":
    main()
