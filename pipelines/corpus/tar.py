"""Tar files written byte by byte the same, and read with suspicion.

USTAR headers with mtime 0, owner 0:0 and mode 0644 (POSIX 1003.1-1988, section 10.1.1). The writer knows every
member's offset, so that readers can fetch one member without walking the file.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from stylefx.corpus.schema import Member
from stylefx.errors import DamageError

BLOCK = 512


_NAME = re.compile(rb"[a-z0-9][a-z0-9.-]{0,99}\Z")


_END = b"\0" * (2 * BLOCK)


def header(name: str, size: int) -> bytes:
    """The 512-byte header of a regular file. The name has at most 100 bytes of [a-z0-9.-]; size < 8 GiB."""
    raw = name.encode()
    if not _NAME.match(raw):
        raise ValueError(f"{name!r} is not a member name of at most 100 characters of [a-z0-9.-]")
    if not 0 <= size < 1 << 33:
        raise ValueError(f"{name}: {size} bytes do not fit into a tar member")
    block = bytearray(BLOCK)
    block[0 : len(raw)] = raw
    block[100:108] = b"0000644\0"
    block[108:116] = block[116:124] = b"0000000\0"
    block[124:136] = b"%011o\0" % size
    block[136:148] = b"00000000000\0"
    block[148:156] = b" " * 8  # the checksum counts as blanks
    block[156:157] = b"0"
    block[257:265] = b"ustar\x0000"
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


class TarWriter:
    """Appends members to a binary file and keeps its sha256 and length."""

    def __init__(self, file: BinaryIO):
        self._file = file
        self._sha256 = hashlib.sha256()
        self.size = 0

    def _put(self, data: bytes) -> None:
        self._file.write(data)
        self._sha256.update(data)
        self.size += len(data)

    def add(self, name: str, data: bytes) -> Member:
        """Append one member; returns where its data lies."""
        self._put(header(name, len(data)))
        member = Member(name, self.size, len(data))
        self._put(data)
        self._put(b"\0" * (-len(data) % BLOCK))
        return member

    def finish(self) -> str:
        """Write the end mark; returns the file's sha256 in hexadecimal."""
        self._put(_END)
        return self._sha256.hexdigest()


@dataclass(frozen=True)
class FoundMember:
    """A member met while walking a tar: data offset, size and crc32 of the data."""

    name: str
    offset: int
    size: int
    crc32: int


def walk(chunks: Iterator[bytes], total: int) -> Iterator[FoundMember]:
    """Walk a tar of ``total`` bytes that arrives in pieces; memory stays at one piece.

    Anything but what ``TarWriter`` writes is a DamageError that says where: other header fields, names with folders
    or odd characters, duplicates, sizes past the end, a missing end mark, bytes after it.
    """
    stream = _Stream(chunks)
    seen: set[str] = set()
    while True:
        at = stream.position
        block = stream.take(BLOCK)
        if len(block) < BLOCK:
            raise DamageError(f"the tar ends at byte {at} without an end mark")
        if block == _END[:BLOCK]:
            if stream.take(BLOCK) != _END[:BLOCK]:
                raise DamageError(f"the end mark at byte {at} is incomplete")
            if stream.position != total or stream.take(1):
                raise DamageError(f"there are bytes after the end mark at byte {at}")
            return
        name, size = _parse(block, at)
        if name in seen:
            raise DamageError(f"member {name} is there twice, the second time at byte {at}")
        seen.add(name)
        if stream.position + size > total:
            raise DamageError(f"member {name} at byte {at} is cut: {size} bytes do not fit into a tar of {total}")
        offset, crc = stream.position, 0
        for piece in stream.pieces(size):
            crc = zlib.crc32(piece, crc)
        padding = stream.take(-size % BLOCK)
        if padding.strip(b"\0") or len(padding) != -size % BLOCK:
            raise DamageError(f"the padding after member {name} is not empty")
        yield FoundMember(name, offset, size, crc)


def _parse(block: bytes, at: int) -> tuple[str, int]:
    raw = block[:100].rstrip(b"\0")
    digits = block[124:135]
    if not _NAME.match(raw) or not re.fullmatch(rb"[0-7]{11}", digits):
        raise DamageError(f"the member header at byte {at} is damaged")
    name, size = raw.decode(), int(digits, 8)
    if header(name, size) != block:
        raise DamageError(f"the header of member {name} at byte {at} is damaged")
    return name, size


class _Stream:
    """Bytes on demand from an iterator of pieces."""

    def __init__(self, chunks: Iterator[bytes]):
        self._chunks, self._rest, self.position = iter(chunks), memoryview(b""), 0

    def pieces(self, size: int) -> Iterator[memoryview]:
        while size > 0:
            if not self._rest:
                self._rest = memoryview(next(self._chunks, b""))
                if not self._rest:
                    return
            piece = self._rest[:size]
            self._rest = self._rest[len(piece) :]
            self.position += len(piece)
            size -= len(piece)
            yield piece

    def take(self, size: int) -> bytes:
        return b"".join(self.pieces(size))
