"""A Parquet file that appears whole or not at all, written table by table."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.storage.local import READABLE
from stylefx.files.atomic import publish
from stylefx.files.claims import Claim, temporary_name


class AtomicParquet:
    """``write`` tables, then ``publish`` or ``discard``, which leaves nothing behind. options: those of ParquetWriter.

    ``spill`` is a folder for temporary files of whoever makes the tables; it goes with the temporary file.
    """

    def __init__(self, path: str | Path, schema: pa.Schema, **options: Any):
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._claim, self._options = Claim(self.path), (schema, options)
        try:
            self._clear()
            self._writer = self._open(self._claim.path, schema, options)
        except BaseException:
            self._claim.drop()
            raise

    @property
    def spill(self) -> Path:
        """Where it is to lie; one that a killed process left there is gone."""
        return self._claim.path.with_suffix(".spill")

    def _clear(self) -> None:
        """Twice, where a file refuses to go at first: when the table is there nobody comes here again."""
        for _ in range(2):
            shutil.rmtree(self.spill, ignore_errors=True)

    @staticmethod
    def _open(path: Path, schema: pa.Schema, options: dict[str, Any]) -> pq.ParquetWriter:
        return pq.ParquetWriter(path, schema, compression="zstd", write_statistics=False, write_page_checksum=True, **options)

    def write(self, table: pa.Table, row_group_size: int | None = None) -> None:
        self._writer.write_table(table, row_group_size=row_group_size)

    def publish(
        self, metadata: dict[bytes, bytes] | None = None, rewrite: Callable[[pa.Table, int], pa.Table] | None = None
    ) -> None:
        """Add key-value metadata and let the file appear. ``rewrite``: (a row group, number of its first row) -> what stands
        there instead, for what is known only when all rows are written."""
        if rewrite is not None:
            self._rewrite(rewrite)
        if metadata:
            self._writer.add_key_value_metadata(metadata)
        self._writer.close()
        self._clear()
        publish(self._claim.path, self.path, READABLE)
        self._claim.release()

    def _rewrite(self, rewrite: Callable[[pa.Table, int], pa.Table]) -> None:
        self._writer.close()
        first = temporary_name(self.path)
        try:
            shutil.copyfile(self._claim.path, first)
            self._writer = self._open(self._claim.path, *self._options)  # the same file: the claim on it holds
            file, row = pq.ParquetFile(first), 0
            for group in range(file.num_row_groups):
                table = file.read_row_group(group)
                self._writer.write_table(rewrite(table, row))
                row += table.num_rows
        finally:
            first.unlink(missing_ok=True)

    def discard(self) -> None:
        """What is thrown away may fail to be written; the first error has said why."""
        with contextlib.suppress(OSError):
            self._writer.close()
        self._clear()
        with contextlib.suppress(OSError):
            self._claim.drop()
