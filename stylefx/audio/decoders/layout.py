"""Where the audio lies in a stream of frames or pages: its parts, and what between them is none.

libsndfile takes the length of such a file from its header or from an estimate and stops there. What a walk over the frames
finds besides (a second stream behind the first, garbage in the middle) is decoded as a section of its own.
"""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from typing import BinaryIO

from stylefx.files.spans import Piece


@dataclass(frozen=True)
class Section:
    """One stream. ``pieces`` None: the file as it lies; ``claimed``: see ``Spans``; ``skip``: frames before the audio."""

    pieces: tuple[Piece, ...] | None = None
    claimed: int | None = None
    skip: int = 0


@dataclass(frozen=True)
class Layout:
    """``frames``: of audio in all, 0 where only decoding tells; ``damage``: what is wrong with the file, or empty."""

    sections: tuple[Section, ...] = (Section(),)
    frames: int = 0
    damage: str = ""


def whole_bytes(file: BinaryIO) -> bytes | mmap.mmap:
    """All bytes of an open file: mapped where it lies on a disk, else read."""
    try:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError, AttributeError):
        file.seek(0)
        return file.read()


def places(count: int, num_bytes: int, first: int, what: str) -> str:
    """The sentence for stretches of bytes that are no audio."""
    where = f"at byte {first}" if count == 1 else f"in {count} places, the first at byte {first},"
    return f"{num_bytes} bytes {where} are no {what}; what lies around them is kept"
