"""The plan file: one row group per shard; what it says about itself is in the file's meta data."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.catalog.file import reading
from pipelines.plan.rows import SCHEMA, TEXTS, rows_digest
from pipelines.storage.parquet import AtomicParquet
from stylefx.corpus.schema import SPLITS, shard_name
from stylefx.errors import UserError
from stylefx.keyed import hex_digest

PLAN_FORMAT = 1


_META, _META_DIGEST = b"stylefx_plan", b"stylefx_plan_digest"


_BATCH_ROWS = 1 << 16


@dataclass(frozen=True)
class ShardInfo:
    """``number`` is the row group in the plan file, ``name`` the stem in the corpus (``train/train-000000``).

    ``digest`` is of the shard's rows: of all that was planned for it, but not of where the sources lie.
    """

    number: int
    name: str
    split: str
    generation: int
    samples: int
    digest: str


class PlanWriter:
    """Collects rows, split after split, cuts them into shards and writes each as one row group; ``publish`` at the end."""

    def __init__(self, path: str | Path, shard_samples: int, next_number: dict[str, int], schema: pa.Schema = SCHEMA):
        self._file = AtomicParquet(path, schema, use_dictionary=list(TEXTS))
        self._size, self._next = shard_samples, dict(next_number)
        self.shards: list[list[Any]] = []  # [name, split, samples, digest]

    def write(self, batches: Iterable[pa.Table], split: int) -> None:
        """batches: iterable of tables of one split, in order."""
        waiting: list[pa.Table] = []
        rows = 0
        for table in batches:
            waiting.append(table)
            rows += table.num_rows
            if rows >= max(self._size, _BATCH_ROWS):
                joined = pa.concat_tables(waiting).combine_chunks()
                whole = rows // self._size * self._size
                self._write_shards(joined.slice(0, whole), split)
                waiting, rows = [joined.slice(whole)], rows - whole
        if rows:
            self._write_shards(pa.concat_tables(waiting).combine_chunks(), split)

    def _write_shards(self, table: pa.Table, split: int) -> None:
        name = SPLITS[split]
        for start in range(0, table.num_rows, self._size):
            shard = table.slice(start, self._size)
            number = self._next.get(name, 0)
            self._next[name] = number + 1
            self.shards.append([shard_name(name, number), name, shard.num_rows, rows_digest(shard)])
        self._file.write(table, row_group_size=self._size)

    def publish(self, meta: dict[str, Any]) -> None:
        data = {"format": PLAN_FORMAT, **meta, "shards": self.shards}
        text = json.dumps(data, separators=(",", ":")).encode()
        self._file.publish({_META: text, _META_DIGEST: hex_digest(text).encode()})

    def discard(self) -> None:
        self._file.discard()

    @property
    def spill(self) -> Path:
        """A folder for temporary files, to be made."""
        return self._file.spill


def read_meta(file: pq.ParquetFile) -> dict[str, Any]:
    """What ``publish`` wrote; an empty dict for another file, or where it was changed."""
    pairs = file.metadata.metadata or {}
    text = pairs.get(_META, b"")
    if hex_digest(text).encode() != pairs.get(_META_DIGEST):
        return {}
    meta: dict[str, Any] = json.loads(text)
    return meta


def plan_meta(plan_path: str | Path) -> dict[str, Any]:
    """What the plan file says about itself: generation, manifest and recipe digests, summary, roots of the sources."""
    return open_plan(str(plan_path), stamp(plan_path))[1]


def plan_overview(plan_path: str | Path) -> list[ShardInfo]:
    """All shards of a plan, in order, without reading a row."""
    meta = plan_meta(plan_path)
    return [
        ShardInfo(number, name, split, meta["generation"], samples, digest)
        for number, (name, split, samples, digest) in enumerate(meta["shards"])
    ]


def begins_split(plan_path: str | Path, number: int) -> bool:
    """Whether a shard is the first of its split in this plan, where splits follow one another."""
    shards = plan_meta(plan_path)["shards"]
    return number == 0 or bool(shards[number - 1][1] != shards[number][1])


def stamp(path: str | Path) -> tuple[int, int]:
    try:
        stat = os.stat(path)
    except OSError as error:
        raise UserError(f"cannot read the plan {path}: {error.strerror}; run `stylefx-pipe plan` first") from error
    return stat.st_size, stat.st_mtime_ns


@functools.lru_cache(maxsize=2)
def open_plan(path: str, stamp: tuple[int, int]) -> tuple[pq.ParquetFile, dict[str, Any]]:
    """The open file and its meta data; a footer of many shards is read once per process."""
    with reading(path, "plan again"):
        file = pq.ParquetFile(path, page_checksum_verification=True)
    meta = read_meta(file)
    if meta.get("format") != PLAN_FORMAT or file.num_row_groups != len(meta.get("shards", ())):
        raise UserError(f"{path} is no plan of format {PLAN_FORMAT}; plan again")
    return file, meta
