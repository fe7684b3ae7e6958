"""The catalog as arrays: strings become codes, the activity tracks one flat array (on disk when they are many)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.catalog.file import LATER, SCHEMA, open_catalog, reading
from stylefx.files.sentences import explained

_IN_MEMORY = 256 * 2**20


_CODED = ("source", "group", "label", "licence", "attribution", "error", "metadata", "near")


_NUMBERS = ("identity", "sample_rate", "channels", "frames", "active_mask", "window_frames")


@dataclass
class Coded:
    """A column of repeated strings: codes int32 (n,) into names."""

    codes: np.ndarray
    names: list[str]


@dataclass
class Recordings:
    """Columns of a catalog, n recordings. Paths and hashes stay in Arrow: they are only copied to the plan."""

    source: Coded
    group: Coded
    label: Coded
    licence: Coded
    attribution: Coded
    error: Coded
    metadata: Coded
    near: Coded
    identity: np.ndarray
    content: np.ndarray
    sample_rate: np.ndarray
    channels: np.ndarray
    frames: np.ndarray
    active_mask: np.ndarray
    window_frames: np.ndarray
    path: pa.Array
    sha256: pa.Array
    target: pa.Array
    target_sha256: pa.Array
    extra: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.identity)

    def name(self, i: int) -> str:
        """The identity in words."""
        return f"{self.source.names[self.source.codes[i]]}/{self.path[int(i)].as_py()}"

    def with_metadata(self) -> bool:
        """Whether anything else is known of any recording."""
        return any(self.metadata.names)

    def with_targets(self) -> bool:
        """Whether any recording has another that somebody made of it."""
        return bool(pc.any(pc.not_equal(self.target, "")).as_py())


def read_recordings(catalog: str | Path, extra: list[str]) -> Recordings:
    """All columns but the activity; ``extra`` are further numeric columns."""
    file = open_catalog(catalog)
    with reading(catalog, "scan again"):
        return _read(file, extra)


def read_fingerprints(catalog: str | Path) -> dict[str, bytes]:
    """Identity -> fingerprint of the recordings that have one."""
    file, out = open_catalog(catalog), {}
    with reading(catalog, "scan again"):
        for group in range(file.num_row_groups):
            table = _completed(file.read_row_group(group, columns=["source", "path", "fingerprint"]))
            for source, path, found in zip(*(table[n].to_pylist() for n in ("source", "path", "fingerprint")), strict=True):
                if found:
                    out[f"{source}/{path}"] = found
    return out


def _read(file: pq.ParquetFile, extra: list[str]) -> Recordings:
    columns = [*_CODED, *_NUMBERS, "content", "path", "sha256", "target", "target_sha256", *extra]
    parts = []
    for group in range(file.num_row_groups):
        table = _completed(file.read_row_group(group, columns=columns)).select(columns)
        for name in _CODED:
            table = table.set_column(table.schema.get_field_index(name), name, table[name].dictionary_encode())
        parts.append(table)
    schema = pa.schema([pa.field(n, pa.dictionary(pa.int32(), pa.string())) if n in _CODED else SCHEMA.field(n) for n in columns])
    table = pa.concat_tables(parts) if parts else schema.empty_table()
    del parts
    return _to_arrays(table.unify_dictionaries(), extra)


def _completed(table: pa.Table) -> pa.Table:
    """A table of an older catalog with the columns that came later, empty."""
    for name, empty in LATER.items():
        if name not in table.column_names:
            table = table.append_column(SCHEMA.field(name), pa.repeat(pa.scalar(empty, SCHEMA.field(name).type), table.num_rows))
    return table


def _to_arrays(table: pa.Table, extra: list[str]) -> Recordings:
    columns: dict[str, Any] = {n: _coded(table[n]) for n in _CODED} | {n: table[n].to_numpy() for n in _NUMBERS}
    content = _joined(table["content"])
    flat = np.frombuffer(content.buffers()[1] or b"", np.uint64)[content.offset * 2 : (content.offset + len(content)) * 2]
    return Recordings(
        **columns,
        content=flat.reshape(-1, 2),
        path=_joined(table["path"], pa.large_string()),
        sha256=_joined(table["sha256"]),
        target=_joined(table["target"], pa.large_string()),
        target_sha256=_joined(table["target_sha256"]),
        extra={n: table[n].to_numpy() for n in extra},
    )


def _joined(column: pa.ChunkedArray, kind: pa.DataType | None = None) -> pa.Array:
    column = column if kind is None else column.cast(kind)
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


def _coded(column: pa.ChunkedArray) -> Coded:
    if column.num_chunks == 0:
        return Coded(np.empty(0, np.int32), [])
    codes = np.concatenate([chunk.indices.to_numpy() for chunk in column.chunks])
    return Coded(codes, column.chunk(0).dictionary.to_pylist())


class ActivityTracks:
    """All activity codes, one after another, on disk when they are many; recording i has starts[i] to starts[i + 1]."""

    def __init__(self, catalog: str | Path, folder: str | Path):
        file = open_catalog(catalog)
        self._path = os.path.join(folder, "activity.u8")
        with explained(str(folder), "activity.u8"), open(self._path, "wb") as out, reading(catalog, "scan again"):
            lengths = [self._copy(file, group, out) for group in range(file.num_row_groups)]
        self.starts = np.concatenate([[0], np.cumsum(np.concatenate([*lengths, np.empty(0, np.int32)]), dtype=np.int64)])
        self._codes = np.fromfile(self._path, np.uint8) if self.starts[-1] <= _IN_MEMORY else None

    @staticmethod
    def _copy(file: pq.ParquetFile, group: int, out: BinaryIO) -> np.ndarray:
        """Append the tracks of a row group to the file; returns their lengths."""
        lengths = [np.empty(0, np.int32)]
        for chunk in file.read_row_group(group, columns=["activity"]).column(0).chunks:
            _, offsets, data = chunk.buffers()
            bounds = np.frombuffer(offsets, np.int32)[chunk.offset : chunk.offset + len(chunk) + 1]
            lengths.append(np.diff(bounds).astype(np.int32))
            if data is not None:
                with explained(out.name, "it"):
                    out.write(memoryview(data)[bounds[0] : bounds[-1]])
        return np.concatenate(lengths)

    def codes(self) -> np.ndarray:
        """All codes, uint8. A file is mapped anew each time, so that the pages of the last use can go."""
        if self._codes is not None:
            return self._codes
        return np.asarray(np.memmap(self._path, np.uint8, "r"))
