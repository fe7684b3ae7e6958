"""Stretches of an open file, one after another, as a file of its own: a member of an archive, what is sound in a damaged file."""

from __future__ import annotations

import bisect
import io
import os
from collections.abc import Sequence
from typing import Any, BinaryIO

Piece = tuple[int, int] | bytes


class Spans(io.RawIOBase):
    """Read-only. ``pieces``: (start, end) of the file, or bytes that stand in their place. ``claimed``: how many bytes it says
    that it has to who asks for its end, for readers that take a length from the size; it can be read to its true end."""

    def __init__(self, file: BinaryIO, pieces: Sequence[Piece], claimed: int | None = None):
        self._file, self._at, self._asked = file, 0, False
        self._pieces = [p for p in pieces if (len(p) if isinstance(p, bytes) else p[1] - p[0]) > 0]
        self._begin = [0]
        for piece in self._pieces:
            self._begin.append(self._begin[-1] + (len(piece) if isinstance(piece, bytes) else piece[1] - piece[0]))
        self._size = self._begin[-1]
        self._claimed = self._size if claimed is None else claimed

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = max(0, offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence])
        self._asked = (offset, whence) == (0, os.SEEK_END)
        return self.tell()

    def tell(self) -> int:
        return self._claimed if self._asked else self._at

    def readinto(self, buffer: Any) -> int:
        self._asked = False
        view, done = memoryview(buffer).cast("B"), 0
        while done < len(view) and self._at < self._begin[-1]:
            i = bisect.bisect_right(self._begin, self._at) - 1
            skipped, wanted = self._at - self._begin[i], min(len(view) - done, self._begin[i + 1] - self._at)
            data = self._piece(i, skipped, wanted)
            if not data:
                break
            view[done : done + len(data)] = data
            done, self._at = done + len(data), self._at + len(data)
        return done

    def _piece(self, i: int, skipped: int, wanted: int) -> bytes:
        piece = self._pieces[i]
        if isinstance(piece, bytes):
            return piece[skipped : skipped + wanted]
        self._file.seek(piece[0] + skipped)
        return self._file.read(wanted)
