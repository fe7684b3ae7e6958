"""MPEG audio (layers I to III) frame by frame: how many there are, whatever a header promises or a size suggests.

A frame counts where another, a tag or the end follows it: its length is in its header. A Xing or Info frame begins a new
stream, as where files were joined. Layout of frames: ISO/IEC 11172-3, 13818-3; of the Xing and LAME fields: their encoders.
"""

from __future__ import annotations

import mmap
from dataclasses import dataclass, field
from functools import lru_cache
from typing import BinaryIO

from stylefx.audio.decoders.layout import Layout, Section, places, whole_bytes
from stylefx.files.spans import Piece

Data = bytes | mmap.mmap

_KBIT = {
    (1, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES = (44100, 48000, 32000)
_DECODER_DELAY = 529  # frames that the synthesis filter comes late, as every decoder counts it
_CLAIMED = 64  # times the size: no estimate from it is too short then
_REACH = 1 << 20  # how far from one frame the next is looked for in one go


@dataclass(frozen=True)
class _Frame:
    """``family``: what all frames of a stream share (version, layer, rate)."""

    length: int
    samples: int
    side: int
    family: tuple[int, int, int]


@dataclass
class _Stream:
    """What was found of one stream: pieces of the file, and how many frames lie in them."""

    begin: int
    pieces: list[Piece] = field(default_factory=list)
    frames: int = 0
    promised: int | None = None
    padding: tuple[int, int] | None = None
    header_end: int = 0


@lru_cache(maxsize=4096)
def _parsed(b1: int, b2: int, b3: int) -> _Frame | None:
    version, layer = {0: 3, 2: 2, 3: 1}.get(b1 >> 3 & 3), 4 - (b1 >> 1 & 3)  # 3 stands for MPEG 2.5
    kbit, rate, padded = b2 >> 4, b2 >> 2 & 3, b2 >> 1 & 1
    if b1 & 0xE0 != 0xE0 or version is None or layer == 4 or kbit in (0, 15) or rate == 3:
        return None
    low = version > 1
    hz = _RATES[rate] // {1: 1, 2: 2, 3: 4}[version]
    bits = _KBIT[(2 if low else 1, min(layer, 2) if low else layer)][kbit - 1] * 1000
    mono = b3 >> 6 == 3
    if layer == 1:
        return _Frame((12 * bits // hz + padded) * 4, 384, 0, (version, layer, hz))
    samples = 576 if low and layer == 3 else 1152
    side = (9 if mono else 17) if low else (17 if mono else 32)
    return _Frame(samples // 8 * bits // hz + padded, samples, side, (version, layer, hz))


def mpeg_layout(file: BinaryIO) -> Layout | None:
    """Where the frames lie; None for what holds no two frames, or frames of free length, which are left to the decoder."""
    data = whole_bytes(file)
    try:
        return _Walk(data).layout()
    finally:
        if isinstance(data, mmap.mmap):
            data.close()


class _Walk:
    def __init__(self, data: Data):
        self.data, self.end = data, len(data)
        self.streams: list[_Stream] = []
        self.family: tuple[int, int, int] | None = None
        self.samples = 0
        self.garbage: list[tuple[int, int]] = []
        self.cut = False

    def frame(self, at: int) -> _Frame | None:
        if at + 4 > self.end or self.data[at] != 0xFF:
            return None
        found = _parsed(self.data[at + 1], self.data[at + 2], self.data[at + 3])
        return found if found and self.family in (None, found.family) else None

    def tag(self, at: int) -> int:
        """Bytes of a tag that lies here; 0 for none."""
        head = self.data[at : at + 32]
        if head[:3] == b"ID3" and len(head) >= 10:
            size = (head[6] & 127) << 21 | (head[7] & 127) << 14 | (head[8] & 127) << 7 | head[9] & 127
            return 10 + size + (10 if head[5] & 16 else 0)
        if head[:8] == b"APETAGEX" and len(head) >= 24:
            return int.from_bytes(head[12:16], "little") + (32 if head[23] & 0x80 else 0) or 32
        if head[:3] == b"TAG" and self.end - at <= 128 + 227:
            return self.end - at
        return self.end - at if head[:11] == b"LYRICSBEGIN" else 0

    def follows(self, at: int) -> bool:
        """Whether a frame that ends here is followed by what may follow."""
        return at == self.end or self.frame(at) is not None or bool(self.tag(at)) or self._only_zeros(at)

    def _only_zeros(self, at: int) -> bool:
        return self.data[at : at + 64].strip(b"\0") == b"" and not any(
            self.data[i : i + _REACH].strip(b"\0") for i in range(at, self.end, _REACH)
        )

    def layout(self) -> Layout | None:
        at = self.tag(0)
        begin = self.sync(at)
        if begin is None:
            return None
        at = begin  # what lies before the first frame is passed over by every decoder
        while at < self.end:
            found = self.frame(at)
            if found and self.follows(at + found.length):
                self.take(at, found)
                at += found.length
            elif size := self.tag(at):
                at += size
            elif self._only_zeros(at):
                break
            elif found and at + found.length > self.end:
                self.cut = True
                break
            else:
                next_at = self.sync(at + 1)
                self.garbage.append((at, self.end if next_at is None else next_at))
                at = self.garbage[-1][1]
        return self._layout()

    def sync(self, at: int) -> int | None:
        """The next frame behind which two more follow, or the end."""
        while at < self.end:
            at = self.data.find(b"\xff", at)
            if at < 0:
                return None
            found = self.frame(at)
            if found:
                known, self.family = self.family, found.family
                second = self.frame(at + found.length)
                good = second is not None and self.follows(at + found.length + second.length)
                self.family = known if not good else self.family
                if good:
                    return at
            at += 1
        return None

    def take(self, at: int, found: _Frame) -> None:
        info = self._info(at, found)
        if info or not self.streams:
            self.streams.append(_Stream(at))
            if info:
                self.streams[-1].promised, self.streams[-1].padding = info
                self.streams[-1].header_end = at + found.length
        stream = self.streams[-1]
        stream.frames += not info
        self.samples = found.samples
        last = stream.pieces[-1] if stream.pieces else None
        if isinstance(last, tuple) and last[1] == at:
            stream.pieces[-1] = (last[0], at + found.length)
        else:
            stream.pieces.append((at, at + found.length))

    def _info(self, at: int, found: _Frame) -> tuple[int | None, tuple[int, int] | None] | None:
        """(frames promised, encoder's delay and padding) where the frame is a Xing or Info header."""
        tag = self.data[at + 4 + found.side : at + found.length]
        if tag[:4] not in (b"Xing", b"Info"):
            return None
        flags = tag[7] if len(tag) > 7 else 0
        promised = int.from_bytes(tag[8:12], "big") if flags & 1 and len(tag) >= 12 else None
        if flags & 15 != 15 or len(tag) < 144 or not tag[120:124].strip(b"\0"):
            return promised, None
        three = int.from_bytes(tag[141:144], "big")
        return promised, (three >> 12, three & 0xFFF)

    def _layout(self) -> Layout:
        total = sum(s.frames * self.samples - sum(s.padding or (0, 0)) for s in self.streams)
        sound = len(self.streams) == 1 and not self.garbage
        stream = self.streams[0]
        if sound and stream.promised is not None and stream.promised >= stream.frames:
            sections: tuple[Section, ...] = (Section(),)
        else:
            sections = tuple(self._section(s) for s in self.streams)
        return Layout(sections, total, self._damage())

    def _section(self, stream: _Stream) -> Section:
        """Without a true Xing header the length is an estimate, so more is claimed; the delay is then skipped here."""
        pieces = list(stream.pieces)
        if stream.promised is not None and stream.promised >= stream.frames:
            return Section(tuple(pieces))
        skip = 0
        if stream.header_end and isinstance(pieces[0], tuple):
            pieces[0] = (stream.header_end, pieces[0][1])
            skip = stream.padding[0] + _DECODER_DELAY if stream.padding else 0
        size = sum(len(p) if isinstance(p, bytes) else p[1] - p[0] for p in pieces)
        return Section(tuple(pieces), _CLAIMED * size, skip)

    def _damage(self) -> str:
        said = []
        if self.garbage:
            said.append(places(len(self.garbage), sum(b - a for a, b in self.garbage), self.garbage[0][0], "MPEG audio"))
        promised = sum(s.promised if s.promised is not None else s.frames for s in self.streams)
        there = sum(s.frames for s in self.streams)
        if promised > there:
            said.append(f"{there} of the {promised} MPEG frames that its header promises are there")
        elif self.cut:
            said.append("it ends inside a frame")
        return "; ".join(said)
