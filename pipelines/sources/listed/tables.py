"""Parquet tables with the audio in their rows, as Hugging Face's data sets have it.

A column of structs (bytes, path), or of bytes, holds the files; the other columns of texts and numbers describe them. Rows lie
compressed in large groups, so a table is unpacked once into a tar with a KEY.json for each file, and read as such.
"""

from __future__ import annotations

import io
import json
import os
import posixpath
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.sources.files import open_file
from pipelines.sources.listed.columns import plain_columns
from stylefx.errors import SourceError

if TYPE_CHECKING:
    import pyarrow as pa

_BATCH = 64

#: what the bytes of a row are where no path says it
_MAGIC = ((b"RIFF", "wav"), (b"fLaC", "flac"), (b"OggS", "ogg"), (b"FORM", "aiff"), (b"ID3", "mp3"), (b"\xff\xfb", "mp3"))


def audio_column(uri: str) -> str:
    """The column that holds audio files; "" where the table is a list of paths. SourceError for what is no table."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with open_file(uri) as file:
            schema = pq.read_schema(file)
    except (OSError, pa.ArrowException) as error:
        raise SourceError(f"{uri} is damaged or no Parquet table: {str(error).splitlines()[0]}") from error
    return _audio_column(schema)


def _audio_column(schema: pa.Schema) -> str:
    import pyarrow as pa

    for field in schema:
        if pa.types.is_struct(field.type) and "bytes" in [child.name for child in field.type]:
            return str(field.name)
    return next((str(f.name) for f in schema if pa.types.is_binary(f.type) or pa.types.is_large_binary(f.type)), "")


def table_rows(uri: str) -> Iterator[dict[str, Any]]:
    """The rows of a table of paths, as plain data."""
    import pyarrow.parquet as pq

    with open_file(uri) as file:
        for batch in pq.ParquetFile(file).iter_batches():
            yield from batch.to_pylist()


def unpack_table(uri: str, part: Path, max_bytes: float) -> None:
    """Write a tar of ``NUMBER-NAME.SUFFIX`` and ``NUMBER-NAME.json`` for each row; rows without bytes are left out."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with open_file(uri) as file, tarfile.open(part, "w") as tar:
            table = pq.ParquetFile(file)
            column = _audio_column(table.schema_arrow)
            number, written = 0, 0
            for batch in table.iter_batches(batch_size=_BATCH):
                for row in batch.to_pylist():
                    written += _add(tar, number, row, column)
                    number += 1
                    if written > max_bytes:
                        limit = f"{max_bytes / 2**30:.1f} GB; raise limits.archive_gb if you trust it"
                        raise SourceError(f"{uri} holds more than {limit}")
            os.utime(part)
    except pa.ArrowException as error:
        raise SourceError(f"{uri} is damaged: {str(error).splitlines()[0]}") from error


def _add(tar: tarfile.TarFile, number: int, row: dict[str, Any], column: str) -> int:
    audio = row.pop(column)
    data, path = (audio.get("bytes"), audio.get("path") or "") if isinstance(audio, dict) else (audio, "")
    if not data:
        return 0
    stem, suffix = posixpath.splitext(posixpath.basename(path))
    suffix = suffix or "." + next((ending for magic, ending in _MAGIC if data.startswith(magic)), "wav")
    key = f"{number:08d}" + (f"-{re.sub(r'[^A-Za-z0-9_-]+', '_', stem)[:80]}" if stem else "")
    _member(tar, key + suffix, data)
    _member(tar, f"{key}.json", json.dumps(plain_columns(row), ensure_ascii=False).encode())
    return len(data)


def _member(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))
