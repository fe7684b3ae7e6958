"""The lengths in WAV and AIFF headers: what they promise beyond the file's end, and what they deny that is there.

Writers that could not seek back leave a size that says nothing (0, 2**32 - 1 and the like): the audio goes to the end of the
file, as sox and ffmpeg read it. libsndfile shortens what is cut in silence, and takes a size of 0 at its word.
"""

from __future__ import annotations

import os
import struct
from typing import BinaryIO

from stylefx.files.spans import Piece

_UNKNOWN_SIZES = (0, 0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFFFFF - 36, 0xFFFFFFFF - 36, 0x7FFFF000, 0x80000000)


def missing_bytes(file: BinaryIO) -> int:
    """How many bytes of audio a header promises beyond the end of the file; 0 if none, or for another kind of file."""
    found = _audio(file)
    if found is None:
        return 0
    _, _, begin, size, end = found
    return 0 if size in _UNKNOWN_SIZES else max(0, begin + size - end)


def with_true_size(file: BinaryIO) -> list[Piece] | None:
    """The file with the size of its audio written in, where the header says 0 and audio follows; None where all is well."""
    found = _audio(file)
    if found is None:
        return None
    order, at, begin, size, end = found
    if size or begin >= end or _chunks_follow(file, order, begin, end):
        return None
    return [(0, 4), struct.pack(f"{order}I", min(end - 8, 0xFFFFFFFF)), (8, at + 4), _size(order, end - begin), (begin, end)]


def _size(order: str, num_bytes: int) -> bytes:
    return struct.pack(f"{order}I", min(num_bytes, 0xFFFFFFFF))


def _audio(file: BinaryIO) -> tuple[str, int, int, int, int] | None:
    """(byte order, where the chunk of audio begins, where its data does, its size, the file's end)."""
    at = file.tell()
    try:
        end = file.seek(0, os.SEEK_END)
        file.seek(0)
        head = file.read(12)
        if head[:4] == b"RIFF" and head[8:] == b"WAVE":
            order, wanted = "<", b"data"
        elif head[:4] == b"FORM" and head[8:] in (b"AIFF", b"AIFC"):
            order, wanted = ">", b"SSND"
        else:
            return None
        position = 12
        while position + 8 <= end:
            file.seek(position)
            kind, size = struct.unpack(f"{order}4sI", file.read(8))
            if kind == wanted:
                return order, position, position + 8, size, end
            position += 8 + size + size % 2
        return None
    finally:
        file.seek(at)


def _chunks_follow(file: BinaryIO, order: str, position: int, end: int) -> bool:
    """Whether a chain of chunks leads from here to the end: then there is no audio in between."""
    at = file.tell()
    try:
        while position + 8 <= end:
            file.seek(position)
            kind, size = struct.unpack(f"{order}4sI", file.read(8))
            if not all(32 <= c < 127 for c in kind):
                return False
            position += 8 + size + size % 2
        return position in (end, end + 1)
    finally:
        file.seek(at)
