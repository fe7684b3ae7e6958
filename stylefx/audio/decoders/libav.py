"""What libsndfile does not know, by libav through PyAV: AAC, ALAC, WMA, WavPack, Matroska and so on. Loaded when it is needed.

Always decoded from the start: containers of this kind address packets, not frames of audio. Packets that cannot be decoded
are left out and said in ``damage``.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib import metadata
from typing import Any, BinaryIO

import numpy as np

from stylefx.audio.decoders.base import AudioInfo, Undecodable
from stylefx.errors import UserError

_INSTALL = "install it with: pip install 'stylefx[ffmpeg]'"
_SCALE = {"u8": 128.0, "s16": 32768.0, "s32": 2147483648.0, "flt": 1.0, "dbl": 1.0}


@cache
def libav_version() -> str:
    """The version of PyAV, which comes with its own libav; "absent" where it is not installed."""
    try:
        return metadata.version("av")
    except metadata.PackageNotFoundError:
        return "absent"


def load_av(name: str) -> Any:
    """The package; UserError with the line that installs it."""
    try:
        import av
    except ImportError:
        raise UserError(f"{name} is decoded by PyAV, which is missing; {_INSTALL}") from None
    av.logging.set_level(None)
    return av


class LibavDecoder:
    """See ``AudioDecoder``. Undecodable where libav finds no audio."""

    def __init__(self, file: BinaryIO, name: str):
        self._av = load_av(name)
        file.seek(0)
        try:
            self._container = self._av.open(file, metadata_errors="ignore")
        except (self._av.FFmpegError, ValueError) as error:
            raise Undecodable(_reason(error)) from None
        streams = self._container.streams.audio
        if not streams:
            self._container.close()
            raise Undecodable("it holds no audio stream")
        self._stream = streams[0]
        self._stream.codec_context.thread_count = 1
        self._bad, self._waiting, self._position = 0, np.empty((0, 0), np.float32), 0
        self.damage = ""
        self._blocks = self._decoded()
        first = next(self._blocks, None)  # the rate of some streams is known with their first frame only
        if first is None:
            self._container.close()
            raise Undecodable("none of its packets can be decoded" if self._bad else "its audio stream is empty")
        self._waiting = first
        context, container = self._stream.codec_context, self._container.format.name
        self.info = AudioInfo(
            self._rate, first.shape[1], self._promised(), container.split(",")[0].upper(), context.codec.name.upper(), exact=False
        )

    def _promised(self) -> int:
        if self._stream.duration and self._stream.time_base:
            return int(self._stream.duration * self._stream.time_base * self._rate)
        return int((self._container.duration or 0) / self._av.time_base * self._rate)

    def read(self, frames: int) -> np.ndarray:
        parts, have = [self._waiting], len(self._waiting)
        while have < frames and (block := next(self._blocks, None)) is not None:
            parts.append(block)
            have += len(block)
        joined = parts[0] if len(parts) == 1 else np.concatenate(parts)
        out, self._waiting = joined[:frames], joined[frames:]
        self._position += len(out)
        if len(out) < frames:
            self._at_end()
        return out

    def _at_end(self) -> None:
        said = [f"{self._bad} packets cannot be decoded and are left out"] if self._bad else []
        if self._position < self.info.frames - max(8192, self.info.sample_rate // 4):  # delay and padding may be counted
            said.append(f"its header promises {self.info.frames} frames, {self._position} can be decoded")
        self.damage = "; ".join([*said, *([self._other] if self._other else [])])

    _other = ""
    _rate = 0

    def _decoded(self) -> Iterator[np.ndarray]:
        """Blocks of float32 (n, channels) of the first rate and number of channels."""
        channels = 0
        for frame in self._frames():
            block = _floats(frame)
            if not self._rate:
                self._rate, channels = frame.sample_rate, block.shape[1]
            if (frame.sample_rate, block.shape[1]) != (self._rate, channels):
                self._other = (
                    f"behind frame {self._position} it has {frame.sample_rate} Hz and {block.shape[1]} channels: left out"
                )
                return
            if len(block):
                yield block

    def _frames(self) -> Iterator[Any]:
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except self._av.FFmpegError:
                self._bad += 1
                return
            try:
                yield from packet.decode()
            except self._av.FFmpegError:
                self._bad += 1

    def seek(self, frame: int) -> bool:
        return False

    def close(self) -> None:
        self._container.close()


def _floats(frame: Any) -> np.ndarray:
    """A frame of libav as float32 (n, channels), integers over their full scale."""
    kind = frame.format.name
    data = frame.to_ndarray()
    data = data.T if frame.format.is_planar else data.reshape(-1, len(frame.layout.channels))
    scale = _SCALE[kind.removesuffix("p")]
    if scale == 1.0:
        return np.ascontiguousarray(data, np.float32)
    centre = 128.0 if kind.startswith("u8") else 0.0
    return ((data.astype(np.float64) - centre) / scale).astype(np.float32)


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error).rstrip(".")
