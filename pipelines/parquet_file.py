"""A Parquet file that appears whole or not at all: written under a temporary name, synced, renamed."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq


class AtomicParquet:
    """``write`` tables, then ``publish`` or ``discard``, which leaves nothing behind. options: those of ParquetWriter."""

    def __init__(self, path: str | Path, schema: pa.Schema, **options: Any):
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        handle, self._part = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.name}.", suffix=".part")
        os.close(handle)
        os.chmod(self._part, 0o644)  # mkstemp keeps it to one user; a corpus is for all
        self._writer = pq.ParquetWriter(
            self._part, schema, compression="zstd", write_statistics=False, write_page_checksum=True, **options
        )

    def write(self, table: pa.Table, row_group_size: int | None = None) -> None:
        self._writer.write_table(table, row_group_size=row_group_size)

    def publish(self, metadata: dict[bytes, bytes] | None = None) -> None:
        """Add key-value metadata and let the file appear."""
        if metadata:
            self._writer.add_key_value_metadata(metadata)
        self._writer.close()
        with open(self._part, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(self._part, self.path)

    def discard(self) -> None:
        self._writer.close()
        if os.path.exists(self._part):
            os.unlink(self._part)
