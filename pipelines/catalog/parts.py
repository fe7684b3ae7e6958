"""A scan in parts: batches of recordings that any machine measures and publishes, each once, for the catalog to be made of.

A batch ends where the hash of a recording says so, or when it is large, so that a recording more or less changes one batch only.
Its name is a digest of what it lists: who is killed goes on with those that are not there yet, and a batch of files that changed
has another name. The catalog reads the parts in the order of the listing; it is to the byte what one machine makes.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.catalog.file import SCHEMA, identity_hash
from pipelines.sources.listing import Found
from pipelines.storage.base import BUILD_FOLDER, Storage
from stylefx.keyed import hex_digest

#: where a build looks for parts
PARTS = f"{BUILD_FOLDER}/scan/"

_MEAN, _MOST, _BYTES = 32, 64, 512 << 20  # recordings of a batch, and the bytes after which it ends


@dataclass(frozen=True)
class ScanBatch:
    """Recordings that follow one another in the listing."""

    found: tuple[Found, ...]

    @property
    def digest(self) -> str:
        return hex_digest("scan part", *(f"{f.source}/{f.path} {f.size} {f.mtime_ns} {f.problem}" for f in self.found))

    def is_of(self, share: tuple[int, int]) -> bool:
        """``share``: (index, count); which one a batch falls to follows from what it lists."""
        return int(self.digest[:12], 16) % share[1] == share[0]


def batches(listing: Iterable[Found]) -> Iterator[ScanBatch]:
    """The listing, cut."""
    found: list[Found] = []
    size = 0
    for one in listing:
        found.append(one)
        size += one.size
        if len(found) >= _MOST or size >= _BYTES or identity_hash(one.source, one.path) % _MEAN == 0:
            yield ScanBatch(tuple(found))
            found, size = [], 0
    if found:
        yield ScanBatch(tuple(found))


class ScanParts:
    """The parts in a storage, below ``prefix``. ``names`` are those that were there when it was opened."""

    def __init__(self, storage: Storage, prefix: str = PARTS):
        self.storage, self._prefix = storage, prefix
        self.names = {n for n in storage.list(prefix.rstrip("/")) if n.endswith(".parquet") and "/" not in n[len(prefix) :]}

    def name(self, batch: ScanBatch) -> str:
        return f"{self._prefix}{batch.digest}.parquet"

    def has(self, batch: ScanBatch) -> bool:
        return self.name(batch) in self.names

    def write(self, batch: ScanBatch, rows: list[dict[str, Any]]) -> None:
        sink = pa.BufferOutputStream()
        pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), sink, compression="zstd", write_page_checksum=True)
        self.storage.write(self.name(batch), sink.getvalue().to_pybytes())

    def read(self, batch: ScanBatch) -> list[dict[str, Any]] | None:
        """The rows of a batch; None where its part is not there or damaged: it is measured again then."""
        try:
            data = self.storage.read(self.name(batch))
            table = pq.read_table(io.BytesIO(data), page_checksum_verification=True)
            rows: list[dict[str, Any]] = table.to_pylist() if table.schema.equals(SCHEMA) else []
        except (FileNotFoundError, pa.ArrowException, OSError):
            return None
        keys = [(row["source"], row["path"], row["size"], row["mtime_ns"]) for row in rows]
        return rows if keys == [(f.source, f.path, f.size, f.mtime_ns) for f in batch.found] else None

    def drop(self) -> None:
        """Remove them all, when the catalog is there."""
        for name in self.storage.list(self._prefix.rstrip("/")):
            self.storage.delete(name)
