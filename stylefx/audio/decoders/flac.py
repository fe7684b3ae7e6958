"""FLAC behind a bad frame: the next frame whose header holds, so that one flipped byte does not cost the rest of a file.

A frame's header carries its number and a checksum of its own (RFC 9639, 9.1).
"""

from __future__ import annotations

import mmap
from collections.abc import Callable
from typing import BinaryIO

from stylefx.audio.decoders.layout import whole_bytes
from stylefx.audio.flac.checksums import CRC8
from stylefx.files.spans import Piece

Data = bytes | mmap.mmap
_CRC8 = CRC8.tobytes()


def flac_from(file: BinaryIO, frame: int) -> tuple[int, tuple[Piece, ...]] | None:
    """(first sample of the next sound frame behind sample ``frame``, pieces of a file that begins with it); None at the end."""
    data = whole_bytes(file)
    try:
        begin, block = _header(data)
        at = begin
        while (at := data.find(b"\xff", at)) >= 0:
            found = frame_start(data, at, block)
            if found is not None and found > frame and _is_followed(data, at, found, block):
                return found, ((0, begin), (at, len(data)))
            at += 1
        return None
    finally:
        if isinstance(data, mmap.mmap):
            data.close()


def _header(data: Data) -> tuple[int, int]:
    """(where the frames begin, samples of a block where all have the same)."""
    at = data.find(b"fLaC") + 4
    block = int.from_bytes(data[at + 4 : at + 6], "big")
    return behind_metadata(lambda first, count: data[first : first + count], at), block


def behind_metadata(read: Callable[[int, int], bytes], at: int) -> int:
    """Where the blocks of metadata end, of which the first begins at a byte; the end or beyond where they are cut.

    read: (first byte, count) -> as many bytes as there are.
    """
    last = False
    while not last and len(head := read(at, 4)) == 4:
        at, last = at + 4 + int.from_bytes(head[1:], "big"), bool(head[0] & 128)
    return at


def frame_start(data: Data, at: int, block: int) -> int | None:
    """The first sample of the frame whose header lies here."""
    head = data[at : at + 16]
    if len(head) < 6 or head[1] & 0xFE != 0xF8 or head[2] >> 4 == 0 or head[2] & 15 == 15 or head[3] >> 4 > 10 or head[3] & 1:
        return None
    length = 1 if head[4] < 0x80 else 8 - (head[4] ^ 0xFF).bit_length()
    if (length == 1 and head[4] >= 0x80) or length > 7:
        return None
    number = head[4] & (0x7F if length == 1 else 0x7F >> length)
    for byte in head[5 : 4 + length]:
        number = number << 6 | byte & 0x3F
    end = 4 + length + {6: 1, 7: 2}.get(head[2] >> 4, 0) + {12: 1, 13: 2, 14: 2}.get(head[2] & 15, 0)
    if len(head) <= end or _crc8(head[:end]) != head[end]:
        return None
    return number if head[1] & 1 else number * block


def _is_followed(data: Data, at: int, start: int, block: int) -> bool:
    """Whether another header with a later number lies within reach, or the end does."""
    reach, next_at = min(len(data), at + 32 * max(block, 4096)), at + 1
    while (next_at := data.find(b"\xff", next_at, reach)) >= 0:
        found = frame_start(data, next_at, block)
        if found is not None and start < found <= start + 65535 * 2:
            return True
        next_at += 1
    return reach == len(data)


def _crc8(data: bytes) -> int:
    value = 0
    for byte in data:
        value = _CRC8[value ^ byte]
    return value
