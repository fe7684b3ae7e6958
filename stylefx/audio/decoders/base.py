"""What every decoder gives: frames in order, what its header promised, and a sentence where the file is damaged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Protocol

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class AudioInfo:
    """What a file's header says. ``frames`` is a promise; it is ``exact`` where the format can be addressed by frame."""

    sample_rate: int
    channels: int
    frames: int
    format: str
    subtype: str
    exact: bool

    @property
    def duration_s(self) -> float:
        return self.frames / self.sample_rate


class AudioDecoder(Protocol):
    """One open file. ``damage`` is empty, or says what is wrong with what was read so far."""

    info: AudioInfo
    damage: str

    def read(self, frames: int) -> np.ndarray:
        """The next frames, float32 (n, channels); fewer than asked only at the end."""

    def seek(self, frame: int) -> bool:
        """Go to a frame, where that is exact; False, and nothing has moved for good, where it cannot be reached."""

    def close(self) -> None:
        """Let go of what is held; the file stays open."""


class Undecodable(Exception):
    """No decoder of this kind; the text says why."""


def file_size(file: BinaryIO) -> int:
    """Bytes of an open file, whose position is kept."""
    at = file.tell()
    size = file.seek(0, 2)
    file.seek(at)
    return size
