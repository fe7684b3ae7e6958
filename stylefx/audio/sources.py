"""What can be decoded: a path, bytes, or an open binary file. Names for messages."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import BinaryIO

from stylefx.errors import UserError

Source = str | os.PathLike[str] | bytes | BinaryIO


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
