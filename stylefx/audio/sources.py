"""What can be decoded: a path, bytes, or an open binary file. Names for messages, and length promises of containers."""

from __future__ import annotations

import io
import os
import struct
from pathlib import Path
from typing import BinaryIO

from stylefx.errors import UserError

Source = str | os.PathLike | bytes | BinaryIO

_UNKNOWN_SIZES = (0, 0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFFFFF - 36, 0xFFFFFFFF - 36, 0x7FFFF000, 0x80000000)


def source_name(source: Source, name: str | None = None) -> str:
    """How messages call the source."""
    if name:
        return name
    if isinstance(source, (bytes, bytearray, memoryview)):
        return f"audio in memory ({len(source)} bytes)"
    if isinstance(source, (str, os.PathLike)):
        return os.fspath(source)
    return str(getattr(source, "name", None) or "audio stream")


def open_binary(source: Source, name: str) -> tuple[BinaryIO, bool]:
    """An open binary file at its start and whether the caller has to close it; UserError where there is nothing to read."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        file: BinaryIO = io.BytesIO(source)
        owned = True
    elif isinstance(source, (str, os.PathLike)):
        path = Path(source)
        if path.is_dir():
            raise UserError(f"{name} is a folder; give an audio file")
        try:
            file, owned = path.open("rb"), True
        except FileNotFoundError:
            raise UserError(f"{name} does not exist; check the path") from None
        except OSError as error:
            raise UserError(f"{name} cannot be opened: {error.strerror or error}") from None
    else:
        file, owned = source, False
        file.seek(0)
    if file.seek(0, os.SEEK_END) == 0:
        if owned:
            file.close()
        raise UserError(f"{name} is empty (0 bytes); give a file with audio")
    file.seek(0)
    return file, owned


def missing_bytes(file: BinaryIO) -> int:
    """How many bytes of audio data a WAV or AIFF header promises beyond the end of the file; 0 if none or not such a file.

    libsndfile silently shortens such a file. Sizes that writers leave when they could not know (0, 2**32 - 1 and the
    like: pipes) promise nothing. The position of the file is restored.
    """
    start = file.tell()
    try:
        end = file.seek(0, os.SEEK_END)
        file.seek(0)
        head = file.read(12)
        if head[:4] == b"RIFF" and head[8:] == b"WAVE":
            return _missing(file, end, "<4sI", b"data")
        if head[:4] == b"FORM" and head[8:] in (b"AIFF", b"AIFC"):
            return _missing(file, end, ">4sI", b"SSND")
        return 0
    finally:
        file.seek(start)


def _missing(file: BinaryIO, end: int, layout: str, wanted: bytes) -> int:
    position = 12
    while position + 8 <= end:
        file.seek(position)
        kind, size = struct.unpack(layout, file.read(8))
        if kind == wanted:
            return 0 if size in _UNKNOWN_SIZES else max(0, position + 8 + size - end)
        position += 8 + size + size % 2
    return 0
