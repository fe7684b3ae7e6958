"""FLAC files by loops of our own, any stretch of them: frames are found by their headers, which carry their number.

A file without a table of places (libsndfile writes none) is searched where the stretch should lie if all frames had one size.
What these loops decline, damage above all, is libsndfile's from there on; checksums tell it.
"""

from __future__ import annotations

from typing import BinaryIO

import numpy as np

from stylefx.audio.decoders.base import AudioDecoder, AudioInfo, Undecodable, file_size
from stylefx.audio.decoders.flac import behind_metadata, frame_start
from stylefx.audio.decoders.sndfile import SndfileDecoder
from stylefx.audio.flac.decode import decode_into, stream_info
from stylefx.audio.flac.decode_kernels import PADDING

_FIRST_BLOCK = 4  # behind the four letters
_STREAMINFO_BYTES = 42
_AT_ONCE = 1 << 20  # samples: the bytes of more are not held at a time
_PROBES = 24  # where all frames have one size, one or two do
_SYNC = b"\xff\xf8"  # of frames that all have one block size

Place = tuple[int, int]  # byte and first sample of a frame
_NEAR = 4  # frames: so few are decoded as fast as they are searched
_WINDOW = 1 << 15  # bytes to look for a header in, besides a few frames of mean size
_ROOM = 1.25  # for a stretch that takes more bytes than the mean


class FlacDecoder:
    """See ``AudioDecoder``. Undecodable where it is not the usual FLAC: 16 or 24 bits, two channels at most, one block size."""

    def __init__(self, file: BinaryIO):
        head = file.read(_STREAMINFO_BYTES)
        stream = stream_info(head)
        self._block = int.from_bytes(head[8:10], "big")
        if stream is None or head[8:10] != head[10:12] or self._block < 16:
            raise Undecodable("it is not the usual FLAC")
        rate, channels, self._bits, frames = stream
        self.info = AudioInfo(rate, channels, frames, "FLAC", f"PCM_{self._bits}", True)
        self._file, self._size, self._position = file, file_size(file), 0
        self._first: Place = (behind_metadata(self._bytes, _FIRST_BLOCK), 0)
        self._reached = self._first
        self._other: AudioDecoder | None = None
        self.damage = ""
        if frame_start(self._bytes(self._first[0], 16), 0, self._block) != 0:
            raise Undecodable("its first frame is damaged")

    def read(self, frames: int) -> np.ndarray:
        audio = self._read(frames) if self._other is None else self._other.read(frames)
        self.damage = "" if self._other is None else self._other.damage
        return audio

    def _read(self, frames: int) -> np.ndarray:
        frames = max(0, min(frames, self.info.frames - self._position))
        if frames > _AT_ONCE * (self._size // self._block + 1):  # a damaged header promises more than memory holds
            return self._by_other().read(frames)
        parts, left = [], frames
        while left and self._other is None:
            part = self._next(min(left, _AT_ONCE))
            parts.append(self._by_other().read(left) if part is None else part)
            left -= len(parts[-1])
        return parts[0] if len(parts) == 1 else np.concatenate([np.empty((0, self.info.channels), np.float32), *parts])

    def _next(self, count: int) -> np.ndarray | None:
        """So many samples (count, channels); None, and nothing has moved, where they are not to be had this way."""
        byte, sample = self._frame_before(self._position)
        decoded = self._position + count - sample + self._block
        most = decoded * self.info.channels * (self._bits + 1) // 8 + 32 * (decoded // self._block + 1)
        out = np.empty((self.info.channels, count), np.float32)
        for size in (min(most, int(_ROOM * self._mean_bytes(decoded)) + _WINDOW), most):
            data = self._bytes(byte, size)
            padded = np.zeros(len(data) + PADDING, np.uint8)
            padded[: len(data)] = np.frombuffer(data, np.uint8)
            reached = decode_into(out, padded, self._position - sample, self._bits)
            if reached is not None:
                self._reached = byte + reached[0], sample + reached[1]
                self._position += count
                return out.T
        return None

    def _mean_bytes(self, samples: int) -> float:
        return (self._size - self._first[0]) * samples / self.info.frames

    def _bytes(self, first: int, count: int) -> bytes:
        self._file.seek(first)
        return self._file.read(count)

    def _frame_before(self, sample: int) -> Place:
        """A frame that begins at or before ``sample``, mostly near it."""
        low = self._reached if self._reached[1] <= sample else self._first
        high = self._size, self.info.frames
        frame = int(self._mean_bytes(self._block))
        for probe in range(_PROBES):
            if sample - low[1] < _NEAR * self._block:
                break
            share = (sample - low[1]) / (high[1] - low[1]) if probe % 2 == 0 else 0.5
            byte = max(low[0] + 1, low[0] + int((high[0] - low[0]) * share) - 2 * frame)
            low, high = self._bracket(byte, _WINDOW + 4 * frame, sample, low, high)
        return low

    def _bracket(self, first: int, count: int, sample: int, low: Place, high: Place) -> tuple[Place, Place]:
        """The frames, from ``low`` to ``high``, between which the sample lies by the headers in a stretch of bytes."""
        data, at, seen = self._bytes(first, count), -1, False
        while (at := data.find(_SYNC, at + 1)) >= 0:
            found = frame_start(data, at, self._block)
            if found is None or not low[1] < found < high[1]:
                continue
            if found > sample:
                return low, (first + at, found)
            low, seen = (first + at, found), True
        return low, high if seen else (first, high[1])

    def seek(self, frame: int) -> bool:
        if self._other is not None:
            return self._other.seek(frame)
        if frame > self.info.frames:
            return False
        found = self._frame_before(frame)
        if frame - found[1] >= _NEAR * self._block:  # its headers do not lead there
            return self._by_other().seek(frame)
        self._position, self._reached = frame, found
        return True

    def _by_other(self) -> AudioDecoder:
        """libsndfile, at the place that was reached."""
        self._file.seek(0)
        self._other = SndfileDecoder(self._file)
        if self._position and not self._other.seek(self._position):
            left = self._position
            while left and (got := len(self._other.read(min(left, _AT_ONCE)))):
                left -= got
        return self._other

    def close(self) -> None:
        if self._other is not None:
            self._other.close()
