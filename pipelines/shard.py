"""One shard: planned samples in; tar, per-sample parquet and sidecar out, committed in that order.

The sidecar is the commit marker: a shard without one is not there. A task is a pure function of its arguments and of
the recordings, so that whoever runs it, and however often, publishes the same bytes.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import socket
import time
import uuid
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.decode_spool import default_spool
from pipelines.environment import environment, environment_digest, limit_memory, peak_memory_mb
from pipelines.executors import ShardTask, describe
from pipelines.journal import Journal
from pipelines.manifest import Manifest
from pipelines.plan import PlannedSample, read_shard
from pipelines.preflight import kernels_loaded
from pipelines.render import Clock, Filtered, RenderedSample, render_sample
from pipelines.render_decode import Decoder
from pipelines.shard_tar import TarWriter
from pipelines.shard_watch import sample_limit
from pipelines.storage import LocalStorage, Storage, explain_write_error, open_storage, redact
from stylefx.corpus.schema import (
    SHARD_COLUMNS,
    STATUS_FAILED,
    STATUS_FILTERED,
    STATUS_OK,
    STATUS_QUARANTINED,
    STATUSES,
    plan_file,
)
from stylefx.errors import StylefxError, UserError

SIDECAR_FORMAT = "stylefx-shard"
SIDECAR_VERSION = 1
_REASON_LENGTH = 500
_REPORTED = 20

_TYPES = {name: pa.string() for name in SHARD_COLUMNS} | {
    name: pa.float64() for name in ("pitch_cents", "tempo", "input_lufs", "target_lufs", "input_peak_dbfs", "target_peak_dbfs")
}
SHARD_SCHEMA = pa.schema([(name, _TYPES[name]) for name in SHARD_COLUMNS])


def run_task(task: ShardTask) -> dict[str, Any]:
    """What executors call, in a worker. Returns a report, or {"problem": {...}} for what stops the shard, never raises."""
    try:
        limit_memory(task.memory_limit_mb)
        return make_shard(task)
    except MemoryError:
        return {"problem": {"kind": "memory", "message": "out of memory"}}
    except StylefxError as error:
        return {"problem": {"kind": "stop", "message": str(error), "exit_status": error.exit_status}}
    except Exception as error:  # noqa: BLE001 - the process boundary
        return {"problem": describe(error)}


def make_shard(task: ShardTask) -> dict[str, Any]:
    """Render and commit one shard; returns its sidecar, with the first failures named and the filtered counted by reason."""
    started = time.perf_counter()
    storage = open_storage(task.out)
    manifest = _manifest(task.manifest)
    kernels_loaded(task.manifest)  # before any sample's time runs
    samples = read_shard(local_plan(storage, task.generation, task.plan_digest), task.number, dict(task.roots))
    skip, clock = dict(task.skip), Clock()
    decoder = _decoder(manifest.segment.sample_rate, manifest.segment.channels)
    decoder.expect(s for s in samples if s.key not in skip)
    journal = Journal(storage, task.name, task.attempt)
    folder = storage.scratch(task.builder)
    temporary = folder / f"{task.name.rpartition('/')[2]}.{uuid.uuid4().hex}.tar"
    rows = []
    try:
        with clock.stage("write"):
            file = open(temporary, "wb", buffering=1 << 20)  # noqa: SIM115 - closed below, before publishing
        with file:
            tar = TarWriter(file)
            for sample in samples:
                journal.enter(sample.key)
                with sample_limit(task.sample_limit_s):
                    status, reason, rendered = _outcome(manifest, sample, skip, decoder, clock)
                with clock.stage("write"):
                    rows.append(_row(sample, status, reason, rendered, tar))
            sha256 = tar.finish()
        journal.enter("")
        sidecar = _commit(storage, task, temporary, rows, tar.size, sha256, clock, started)
    except OSError as error:
        raise explain_write_error(storage.where, f"{task.name}.tar", error) or error from error
    finally:
        temporary.unlink(missing_ok=True)
        temporary.with_suffix(".parquet").unlink(missing_ok=True)
    journal.leave()
    bad = [(r["key"], r["status"], r["reason"]) for r in rows if r["status"] in (STATUS_FAILED, STATUS_QUARANTINED)]
    filtered = Counter(r["reason"] for r in rows if r["status"] == STATUS_FILTERED)
    return {**sidecar, "bad": bad[:_REPORTED], "filtered": dict(filtered)}


@functools.lru_cache(maxsize=2)
def _manifest(text: str) -> Manifest:
    return Manifest.model_validate_json(text)


@functools.lru_cache(maxsize=2)
def _decoder(sample_rate: int, channels: int) -> Decoder:
    """One per process, so that a recording's hash is checked once and not in every shard."""
    return Decoder(sample_rate, channels, spool=default_spool())


def local_plan(storage: Storage, generation: int, digest: str) -> Path:
    """A local path of the plan; one in an object store is fetched once per node."""
    name = plan_file(generation)
    if isinstance(storage, LocalStorage):
        return storage.path(name)
    where = hashlib.sha256(storage.where.encode()).hexdigest()[:16]  # equal plans of two corpora may have other roots
    path = storage.scratch("plans") / f"{where}-{digest}-{name}"
    if not path.is_file():
        temporary = path.with_suffix(f".{uuid.uuid4().hex}")
        temporary.write_bytes(storage.read(name))
        os.replace(temporary, path)
    return path


def _outcome(
    manifest: Manifest, sample: PlannedSample, skip: dict[str, str], decoder: Decoder, clock: Clock
) -> tuple[str, str, RenderedSample | None]:
    """(status, reason, rendered) of one sample; what is wrong with one never reaches the others."""
    if sample.key in skip:
        return STATUS_QUARANTINED, skip[sample.key], None
    try:
        return STATUS_OK, "", render_sample(manifest, sample, decoder=decoder, clock=clock)
    except Filtered as reason:
        return STATUS_FILTERED, str(reason), None
    except UserError as error:
        return STATUS_FAILED, _short(str(error)), None
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - the boundary of a sample: foreign decoders raise anything
        return STATUS_FAILED, _short(f"{type(error).__name__}: {error}"), None


def _short(reason: str) -> str:
    return redact(" ".join(reason.split()))[:_REASON_LENGTH]


def _row(sample: PlannedSample, status: str, reason: str, rendered: RenderedSample | None, tar: TarWriter) -> dict[str, Any]:
    """Append the sample's members to the tar and describe them as a row of the shard's table."""
    row: dict[str, Any] = {name: None for name in SHARD_COLUMNS} | {
        "key": sample.key,
        "source": sample.source,
        "group": sample.group,
        "label": sample.label,
        "split": sample.split,
        "status": status,
        "reason": reason,
        "pitch_cents": sample.pitch_cents,
        "tempo": sample.tempo,
        "settings": "{}",
        "members": "{}",
        "crc32": "{}",
    }
    if rendered is None:
        return row
    members, checks = {}, {}
    document = json.dumps(rendered.document, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    for suffix, data in {**rendered.members, "json": document}.items():
        member = tar.add(f"{sample.key}.{suffix}", data)
        members[suffix] = [member.offset, member.size]
        checks[suffix] = zlib.crc32(data)
    settings = {branch: rendered.document[branch] for branch in ("input", "target") if branch in rendered.document}
    row |= {name: rendered.metrics.get(name) for name in SHARD_COLUMNS if name in rendered.metrics}
    row |= {"label": rendered.document["label"], "settings": _json(settings), "members": _json(members), "crc32": _json(checks)}
    return row


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _commit(
    storage: Storage, task: ShardTask, temporary: Path, rows: list[dict], size: int, sha256: str, clock: Clock, started: float
) -> dict[str, Any]:
    """Publish tar, parquet and sidecar, in this order; returns the sidecar."""
    with clock.stage("commit"):
        table = _parquet(rows)
        beside = temporary.with_suffix(".parquet")
        beside.write_bytes(table)
        storage.publish_together([(temporary, f"{task.name}.tar"), (beside, f"{task.name}.parquet")])
    counts = {status: sum(row["status"] == status for row in rows) for status in STATUSES}
    engine = _manifest(task.manifest).augment.used_engine
    sidecar = {
        "format": SIDECAR_FORMAT,
        "version": SIDECAR_VERSION,
        "name": task.name,
        "number": task.number,
        "generation": task.generation,
        "shard_digest": task.shard_digest,
        "plan_digest": task.plan_digest,
        "manifest_digest": task.manifest_digest,
        "environment_digest": environment_digest(engine),
        "environment": environment(engine),
        "planned": len(rows),
        "counts": counts,
        "bytes": size,
        "sha256": sha256,
        "parquet_bytes": len(table),
        "parquet_sha256": hashlib.sha256(table).hexdigest(),
        "seconds": {name: round(s, 4) for name, s in clock.seconds.items()},
        "wall_s": round(time.perf_counter() - started, 3),
        "finished_s": int(time.time()),
        "attempts": task.attempt + 1,
        "node": socket.gethostname(),
        "peak_memory_mb": peak_memory_mb(),
    }
    storage.write(f"{task.name}.json", json.dumps(sidecar, indent=1).encode())
    return sidecar


def _parquet(rows: list[dict]) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows, schema=SHARD_SCHEMA), sink, compression="zstd")
    return sink.getvalue().to_pybytes()
