"""One shard: planned samples in; tar, per-sample parquet and sidecar out, committed in that order.

The sidecar is the commit marker: a shard without one is not there. A task is a pure function of its arguments and of
the recordings, so that whoever runs it, and however often, publishes the same bytes.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import socket
import time
import uuid
import zlib
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.corpus.plans import local_plan
from pipelines.corpus.sidecar import Sidecar
from pipelines.corpus.tar import TarWriter
from pipelines.manifest.model import Manifest
from pipelines.plan.file import begins_split
from pipelines.plan.samples import PlannedSample, read_shard
from pipelines.render.decode import Decoder
from pipelines.render.kernels import kernels_loaded
from pipelines.render.sample import Clock, RenderedSample, render_sample
from pipelines.shards.committed import committed_meanwhile
from pipelines.shards.floor import FloorMeter
from pipelines.shards.journal import SampleJournal
from pipelines.shards.task import ShardTask
from pipelines.sources.decoded import default_spool
from pipelines.storage.base import Storage
from pipelines.storage.open import open_storage
from pipelines.storage.writeback import Writeback
from pipelines.workers.crew import become_worker
from pipelines.workers.environment import environment, environment_digest, limit_memory, peak_memory_mb
from pipelines.workers.executor import reported
from pipelines.workers.limit import sample_limit
from stylefx.corpus.schema import (
    EXTRA_COLUMNS,
    SHARD_COLUMNS,
    STATUS_FAILED,
    STATUS_FILTERED,
    STATUS_OK,
    STATUS_QUARANTINED,
    STATUSES,
)
from stylefx.errors import UserError
from stylefx.files.address import redact
from stylefx.files.sentences import explain_write_error
from stylefx.recipes.steps import Filtered


def load_ahead() -> None:
    """What the first shard would import and load: done by every worker as soon as it runs, while the driver still plans."""
    become_worker()
    from stylefx.audio import integrated_lufs

    integrated_lufs(np.zeros((1, 12000), np.float32), 24000)  # with its first kernel numba loads all that it knows


_REASON_LENGTH = 500


_REPORTED = 20


_TYPES = {name: pa.string() for name in SHARD_COLUMNS} | {
    name: pa.float64() for name in ("pitch_cents", "tempo", "input_lufs", "target_lufs", "input_peak_dbfs", "target_peak_dbfs")
}


class _File(NamedTuple):
    """What a sidecar says of one of its shard's files."""

    bytes: int
    sha256: str


SHARD_SCHEMA = pa.schema([(name, _TYPES[name]) for name in SHARD_COLUMNS])


def run_task(task: ShardTask) -> dict[str, Any]:
    """What executors call, in a worker. Returns a report, or {"problem": {...}} for what stops the shard, never raises."""

    def limited() -> dict[str, Any]:
        limit_memory(task.memory_limit_mb)
        return make_shard(task)

    return reported(limited)


def make_shard(task: ShardTask) -> dict[str, Any]:
    """Render and commit one shard; returns its sidecar, with the first failures named and the filtered counted by reason."""
    started = time.perf_counter()
    storage = open_storage(task.out)
    if (before := committed_meanwhile(storage, task)) is not None:
        return _as_it_is(before)
    manifest = _manifest(task.manifest)
    kernels_loaded(task.manifest)  # before any sample's time runs
    plan = local_plan(storage, task.generation, task.plan_digest)
    samples = read_shard(plan, task.number, dict(task.roots))
    skip, clock = dict(task.skip), Clock()
    decoder = _decoder(manifest.segment.sample_rate, manifest.segment.channels)
    decoder.expect(s for s in samples if s.key not in skip)
    decoder.check_large(s for s in samples if s.key not in skip)
    journal = SampleJournal(storage, task.name, task.attempt)
    folder = storage.scratch(task.builder)
    temporary = folder / f"{task.name.rpartition('/')[2]}.{uuid.uuid4().hex}.tar"
    rows = []
    floor = FloorMeter(manifest, at_least_one=begins_split(plan, task.number))
    try:
        with clock.stage("write"):
            file = open(temporary, "wb", buffering=1 << 20)  # noqa: SIM115 - closed below, before publishing
        with file:
            tar, writeback = TarWriter(file), Writeback(file)
            for sample in samples:
                journal.enter(sample.key)
                with sample_limit(task.sample_limit_s):
                    status, reason, rendered = _outcome(manifest, sample, skip, decoder, clock)
                if rendered is not None:
                    with clock.stage("floor"):
                        floor.add(rendered)
                with clock.stage("write"):
                    rows.append(_row(sample, status, reason, rendered, tar))
                    writeback.advance(tar.size)
            sha256 = tar.finish()
        journal.enter("")
        if (before := committed_meanwhile(storage, task)) is not None:
            journal.leave()
            return _as_it_is(before)
        with clock.stage("commit"):
            table = _parquet(rows, shard_schema(_manifest(task.manifest), any(s.metadata for s in samples)))
            _publish(storage, task.name, temporary, table)
        of_table = _File(len(table), hashlib.sha256(table).hexdigest())
        sidecar = _sidecar(task, rows, _File(tar.size, sha256), of_table, clock, started, floor.to_dict())
        storage.write(f"{task.name}.json", sidecar.to_bytes())
    except OSError as error:
        raise explain_write_error(storage.where, f"{task.name}.tar", error) from error
    finally:
        with contextlib.suppress(OSError):  # what stays is dropped with the builder's folder
            temporary.unlink(missing_ok=True)
            temporary.with_suffix(".parquet").unlink(missing_ok=True)
    journal.leave()
    bad = [(r["key"], r["status"], r["reason"]) for r in rows if r["status"] in (STATUS_FAILED, STATUS_QUARANTINED)]
    filtered = Counter(r["reason"] for r in rows if r["status"] == STATUS_FILTERED)
    return {"sidecar": sidecar, "bad": bad[:_REPORTED], "filtered": dict(filtered)}


def _as_it_is(sidecar: Sidecar) -> dict[str, Any]:
    """The report of a shard that another worker made: why samples are missing was told to whoever waited for that one."""
    return {"sidecar": sidecar, "bad": [], "filtered": {}}


@functools.lru_cache(maxsize=2)
def _manifest(text: str) -> Manifest:
    manifest = Manifest.model_validate_json(text)
    manifest.check_plugins()
    return manifest


@functools.lru_cache(maxsize=2)
def _decoder(sample_rate: int, channels: int) -> Decoder:
    """One per process, so that a recording's hash is checked once and not in every shard."""
    return Decoder(sample_rate, channels, spool=default_spool())


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


def shard_schema(manifest: Manifest, metadata: bool = False) -> pa.Schema:
    """A corpus without references of other content, without samples that have nothing to do, and without further columns of its
    recordings keeps the plain table."""
    used = {
        "reference_groups": manifest.reference.stored,
        "nothing_to_do": manifest.nothing_to_do.share,
        "metadata": metadata,
    }
    extra = [pa.field(name, pa.string()) for name in EXTRA_COLUMNS if used[name]]
    return pa.schema([*SHARD_SCHEMA, *extra])


def _row(sample: PlannedSample, status: str, reason: str, rendered: RenderedSample | None, tar: TarWriter) -> dict[str, Any]:
    """Append the sample's members to the tar and describe them as a row of the shard's table."""
    row: dict[str, Any] = dict.fromkeys(SHARD_COLUMNS) | {
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
    document = _DOCUMENT.encode(rendered.document).encode()
    for suffix, data in {**rendered.members, "json": document}.items():
        member = tar.add(f"{sample.key}.{suffix}", data)
        members[suffix] = [member.offset, member.size]
        checks[suffix] = zlib.crc32(data)
    settings = {branch: rendered.document[branch] for branch in ("input", "target") if branch in rendered.document}
    row |= {name: rendered.metrics.get(name) for name in SHARD_COLUMNS if name in rendered.metrics}
    row["reference_groups"] = _json([r["group"] for r in rendered.document.get("references", ())])
    row["metadata"] = json.dumps(dict(sample.metadata), ensure_ascii=False) if sample.metadata else ""
    row["nothing_to_do"] = rendered.document.get("nothing_to_do", "")
    row |= {"label": rendered.document["label"], "settings": _json(settings), "members": _json(members), "crc32": _json(checks)}
    return row


#: of a sample, and of a cell of the shard's table
_DOCUMENT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)
_CELL = json.JSONEncoder(separators=(",", ":"))


def _json(value: Any) -> str:
    return _CELL.encode(value)


def _publish(storage: Storage, name: str, tar: Path, table: bytes) -> None:
    """Tar and parquet, in this order; nothing is committed before its sidecar is there."""
    beside = tar.with_suffix(".parquet")
    beside.write_bytes(table)
    storage.publish_together([(tar, f"{name}.tar"), (beside, f"{name}.parquet")])


def _sidecar(
    task: ShardTask, rows: list[dict[str, Any]], tar: _File, table: _File, clock: Clock, started: float, floor: dict[str, Any]
) -> Sidecar:
    parts = _manifest(task.manifest).rendered_with
    return Sidecar(
        name=task.name,
        number=task.number,
        generation=task.generation,
        shard_digest=task.shard_digest,
        plan_digest=task.plan_digest,
        manifest_digest=task.manifest_digest,
        environment_digest=environment_digest(parts),
        environment=environment(parts),
        planned=len(rows),
        counts={status: sum(row["status"] == status for row in rows) for status in STATUSES},
        bytes=tar.bytes,
        sha256=tar.sha256,
        parquet_bytes=table.bytes,
        parquet_sha256=table.sha256,
        seconds={name: round(s, 4) for name, s in clock.seconds.items()},
        wall_s=round(time.perf_counter() - started, 3),
        finished_s=int(time.time()),
        attempts=task.attempt + 1,
        node=socket.gethostname(),
        peak_memory_mb=peak_memory_mb(),
        floor=floor,
    )


def _parquet(rows: list[dict[str, Any]], schema: pa.Schema) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), sink, compression="zstd")
    data: bytes = sink.getvalue().to_pybytes()
    return data
