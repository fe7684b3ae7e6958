"""Proof that no group and no audio is in two splits, from plans and catalogs: by group name and by hash of the samples.

The hash is of what was decoded, so that one recording as WAV and as FLAC counts as the same audio.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.plan.file import ShardInfo
from pipelines.plan.samples import PlannedSample, read_shard
from pipelines.storage.base import Storage
from pipelines.verify.report import Finding, VerifyReport
from stylefx.corpus.schema import catalog_file

_SHOWN = 20


def contents_of(storage: Storage, generations: int) -> dict[str, bytes]:
    """{recording: hash of its samples} from the catalogs; one that is gone or damaged adds nothing."""
    out: dict[str, bytes] = {}
    for number in range(generations):
        with suppress(OSError, pa.ArrowException):
            data = pa.BufferReader(storage.read(catalog_file(number)))
            table = pq.read_table(data, columns=["source", "path", "content"], page_checksum_verification=True)
            columns = (table[name].to_pylist() for name in table.column_names)
            out.update((f"{source}/{path}", content) for source, path, content in zip(*columns, strict=True))
    return out


def check_sides(
    report: VerifyReport, plans: Sequence[tuple[Path, Sequence[ShardInfo]]], contents: Mapping[str, bytes] | None = None
) -> None:
    """Add a finding for every group and every recording's content that is planned for two splits.

    ``contents``: see ``contents_of``; recordings that it lacks are compared by the bytes of their files.
    """
    sides: dict[tuple[str, str], str] = {}
    clashes: dict[tuple[str, str], str] = {}
    for path, shards in plans:
        for shard in shards:
            for kind, value, key in _identities(read_shard(path, shard.number), contents or {}):
                before = sides.setdefault((kind, value), shard.split)
                if before != shard.split:
                    clashes.setdefault((kind, value), f"{kind} {value!r} is in {before} and {shard.split} (sample {key})")
    report.groups = sum(kind == "group" for kind, _ in sides)
    report.contents = sum(kind == "audio" for kind, _ in sides)
    report.findings += [Finding("", "", text) for text in list(clashes.values())[:_SHOWN]]


def _identities(samples: Iterable[PlannedSample], contents: Mapping[str, bytes]) -> Iterable[tuple[str, str, str]]:
    for sample in samples:
        for one in (sample, *(reference.sample for reference in sample.references)):
            yield "group", one.group, sample.key
            for part in one.parts:
                content = contents.get(part.recording)
                if content or part.sha256:
                    yield "audio", content.hex() if content else part.sha256, sample.key
