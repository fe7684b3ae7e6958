"""Checking a corpus against what was committed: every byte of every tar, every table, the index, and the splits.

Each finding names the shard, and the sample where one can be named. Nothing is changed, unless damaged shards are to
be dropped: then their sidecars go, and the next build renders them anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.corpus.sidecar import Committed, check_sidecar
from pipelines.corpus.tar import FoundMember, walk
from pipelines.plan.file import ShardInfo
from pipelines.storage.base import Storage
from pipelines.verify.report import Finding, VerifyReport
from stylefx.corpus.schema import EXTRA_COLUMNS, INDEX_FILE, SHARD_COLUMNS, STATUS_OK
from stylefx.errors import DamageError, UserError

_READERS = 2


_CHUNK = 4 << 20


def verify(
    storage: Storage,
    shards: list[ShardInfo],
    manifest_digest: str,
    progress: Callable[[int], None] | None = None,
) -> VerifyReport:
    """Check all committed shards. A corpus without index.json may lack shards; one with it may not."""
    report, files = VerifyReport(storage.where, len(shards)), storage.list()
    index = read_index(storage, files, report)
    listed = {entry["name"]: entry for entry in index} if index is not None else None
    present = [s for s in shards if f"{s.name}.json" in files]
    for shard in shards:
        if f"{shard.name}.json" not in files:
            report.missing.append(shard.name)
            if listed is not None and shard.name in listed:
                report.findings.append(Finding(shard.name, "", "the shard is gone, index.json lists it"))
    groups: dict[str, dict[str, str]] = {}

    def one(shard: ShardInfo) -> tuple[ShardInfo, list[Finding], list[dict[str, Any]], int]:
        findings, rows, size = check_shard(storage, shard, manifest_digest, files, (listed or {}).get(shard.name))
        return shard, findings, rows, size

    with ThreadPoolExecutor(_READERS) as pool:
        for shard, findings, rows, size in pool.map(one, present):
            report.shards += 1
            report.bytes += size
            report.samples += sum(row["status"] == STATUS_OK for row in rows)
            report.findings += findings
            for row in rows:
                for group in (row["group"], *row["reference_groups"]):
                    groups.setdefault(group, {}).setdefault(shard.split, row["key"])
            if progress:
                progress(report.shards)
    report.groups = len(groups)
    report.findings += _in_several_splits(groups)
    if listed is not None:
        known = {s.name for s in shards}
        report.findings += [
            Finding(name, "", "index.json lists a shard that no plan has") for name in listed if name not in known
        ]
    return report


def _in_several_splits(groups: dict[str, dict[str, str]]) -> list[Finding]:
    """``groups``: group -> split -> key of a sample there."""
    findings = []
    for group, splits in sorted(groups.items()):
        if len(splits) > 1:
            where = ", ".join(f"{split} ({key})" for split, key in sorted(splits.items()))
            findings.append(Finding("", "", f"group {group!r} is in {where}"))
    return findings


def read_index(storage: Storage, files: dict[str, int], report: VerifyReport) -> list[dict[str, Any]] | None:
    """The index's shards; None where there is no index, or a damaged one (then a finding says so)."""
    if INDEX_FILE not in files:
        return None
    try:
        index = json.loads(storage.read(INDEX_FILE))
        entries: list[dict[str, Any]] = index["shards"]
        if all(isinstance(e["name"], str) and isinstance(e["sha256"], str) for e in entries):
            return entries
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    report.findings.append(Finding("", "", f"{INDEX_FILE} is damaged; the next build writes it anew"))
    return None


def check_shard(
    storage: Storage, shard: ShardInfo, manifest_digest: str, files: dict[str, int], listed: dict[str, Any] | None
) -> tuple[list[Finding], list[dict[str, Any]], int]:
    """(findings, rows of the table, bytes of the tar) of one committed shard."""
    findings: list[Finding] = []

    def found(what: str, sample: str = "") -> None:
        findings.append(Finding(shard.name, sample, what))

    try:
        sidecar = check_sidecar(storage, shard, manifest_digest, files)
    except (DamageError, UserError) as error:
        found(str(error))
        sidecar = None
    if sidecar and listed and (listed["sha256"], listed.get("parquet_sha256")) != (sidecar.sha256, sidecar.parquet_sha256):
        found(f"{INDEX_FILE} and the sidecar state different sha256")
    rows = _check_table(storage, shard, sidecar, files, found)
    size = files.get(f"{shard.name}.tar", 0)
    if f"{shard.name}.tar" in files:
        _check_tar(storage, shard, sidecar, rows, size, found)
    elif sidecar:
        found("the tar is gone")
    return findings, rows, size


def _check_table(
    storage: Storage, shard: ShardInfo, sidecar: Committed | None, files: dict[str, int], found: Callable[..., None]
) -> list[dict[str, Any]]:
    name = f"{shard.name}.parquet"
    if name not in files:
        found("the table (.parquet) is gone")
        return []
    data = storage.read(name)
    if sidecar and hashlib.sha256(data).hexdigest() != sidecar.parquet_sha256:
        found("the table (.parquet) is not what was committed")
    try:
        return read_rows(data)
    except DamageError as error:
        found(str(error))
        return []


def read_rows(data: bytes) -> list[dict[str, Any]]:
    """The rows of a shard's table, with "members" and "crc32" parsed; DamageError when it is not such a table."""
    try:
        file = pq.ParquetFile(pa.BufferReader(data))
        table = file.read(columns=[*SHARD_COLUMNS, *(c for c in EXTRA_COLUMNS if c in file.schema_arrow.names)])
        missing = set(SHARD_COLUMNS) - set(table.column_names)
        if missing:
            raise KeyError(min(missing))
        rows: list[dict[str, Any]] = table.to_pylist()
        for row in rows:
            row["reference_groups"] = json.loads(row.get("reference_groups") or "[]")
            row["members"], row["crc32"] = json.loads(row["members"]), json.loads(row["crc32"])
            for suffix, (offset, size) in row["members"].items():
                if type(offset) is not int or type(size) is not int or type(row["crc32"][suffix]) is not int:
                    raise ValueError(f"member {suffix} of {row['key']}")
        return rows
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DamageError(f"the table (.parquet) cannot be read: {' '.join(str(error).split())[:200]}") from None


def _check_tar(
    storage: Storage,
    shard: ShardInfo,
    sidecar: Committed | None,
    rows: list[dict[str, Any]],
    size: int,
    found: Callable[..., None],
) -> None:
    """Walk the tar once: its hash, and each member against the table."""
    expected = {
        f"{row['key']}.{suffix}": (row["key"], offset, length, row["crc32"][suffix])
        for row in rows
        for suffix, (offset, length) in row["members"].items()
    }
    digest = hashlib.sha256()

    def chunks() -> Iterator[bytes]:
        for chunk in storage.chunks(f"{shard.name}.tar", size, _CHUNK):
            digest.update(chunk)
            yield chunk

    reader, last = chunks(), ""
    before = 0
    complaints = 0
    try:
        for member in walk(reader, size):
            wanted = expected.pop(member.name, None)
            last = member.name.split(".")[0]
            complaints += _compare(member, wanted, last, found)
            before = member.offset + member.size
    except DamageError as error:
        complaints += 1
        found(str(error), _sample_after(rows, before))
    for _ in reader:  # the rest, for the hash
        pass
    if sidecar and digest.hexdigest() != sidecar.sha256 and not complaints:
        found(f"the tar is not what was committed: sha256 {digest.hexdigest()[:16]}..., sidecar {sidecar.sha256[:16]}...")
    for key in sorted({key for key, *_ in expected.values()}):
        found("members are missing from the tar", key)


def _compare(member: FoundMember, wanted: tuple[Any, ...] | None, sample: str, found: Callable[..., None]) -> int:
    if wanted is None:
        found(f"member {member.name} is not in the table", sample)
    elif (member.offset, member.size) != wanted[1:3]:
        found(f"member {member.name} lies at {member.offset}+{member.size}, the table says {wanted[1]}+{wanted[2]}", sample)
    elif member.crc32 != wanted[3]:
        found(f"member {member.name} is damaged (crc32)", sample)
    else:
        return 0
    return 1


def _sample_after(rows: list[dict[str, Any]], position: int) -> str:
    """The sample whose member begins next after a byte: the one that a damaged header belongs to."""
    starts = sorted((offset, row["key"]) for row in rows for offset, _ in row["members"].values())
    return next((key for offset, key in starts if offset > position), "")
