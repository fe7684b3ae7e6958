"""Reading audio files: float32 (channels, samples) at the file's own rate, exactly as decoded.

Where a frame can be addressed (FLAC, and encodings of a fixed size) a reader seeks; everything else is decoded from its start
and cut in memory. Samples above full scale are kept: lossy decoders produce them. What of a damaged or truncated file can be
decoded is given, whatever its format, and ``damage`` says what is wrong with it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from stylefx.audio.decoders.base import AudioDecoder, AudioInfo, Undecodable
from stylefx.audio.decoders.flac_frames import FlacDecoder
from stylefx.audio.decoders.formats import is_libavs
from stylefx.audio.decoders.g722 import G722Decoder
from stylefx.audio.decoders.libav import LibavDecoder, libav_version
from stylefx.audio.decoders.sndfile import SndfileDecoder
from stylefx.audio.sources import Source, open_binary, source_name
from stylefx.errors import UserError
from stylefx.logs import logger

_BLOCK = 1 << 16
_FORMATS_TEXT = "WAV, FLAC, AIFF, MP3, Ogg Vorbis, Opus, M4A or raw G.722 (.g722)"


def _decoder(file: BinaryIO, name: str) -> AudioDecoder:
    """Who decodes this file; UserError where nobody can."""
    if name.lower().endswith(".g722"):
        return G722Decoder(file, name)
    head = file.read(32)
    file.seek(0)
    if head[:4] == b"fLaC":
        with contextlib.suppress(Undecodable):
            return FlacDecoder(file)
        file.seek(0)
    reason = ""
    if not is_libavs(head, name):
        try:
            return SndfileDecoder(file)
        except Undecodable as error:
            reason = str(error)
    known = head[:4] in (b"RIFF", b"OggS", b"FORM", b"caff", b"ID3\x03", b"ID3\x04") and libav_version() != "absent"
    if not reason or known:  # an encoding that libsndfile does not know, in a container that it does
        try:
            return LibavDecoder(file, name)
        except Undecodable as error:
            reason = reason or str(error)
    raise UserError(f"{name} cannot be decoded ({reason}); give {_FORMATS_TEXT}")


class BlockReader:
    """The decoded blocks of one file, in order, in bounded memory. A context manager and an iterator.

    Attributes: ``info``, ``sample_rate``, ``channels``, ``position`` (frames delivered or skipped so far), ``damage`` (what is
    wrong with what was read so far, in words; complete at the end of the file).
    Raises UserError for what cannot be decoded at all, and for NaN or infinite samples.
    """

    def __init__(self, source: Source, block_frames: int = _BLOCK, name: str | None = None):
        if block_frames < 1:
            raise UserError(f"blocks of {block_frames} frames cannot be read; give a positive number")
        self.name = source_name(source, name)
        self.block_frames = block_frames
        self.position = 0
        self._file, self._owned = open_binary(source, self.name)
        self._decoder: AudioDecoder | None = None
        try:
            self._decoder = _decoder(self._file, self.name)
            self.info = self._decoder.info
        except BaseException:
            self.close()
            raise

    @property
    def damage(self) -> str:
        return self._decoder.damage if self._decoder is not None else ""

    @property
    def sample_rate(self) -> int:
        return self.info.sample_rate

    @property
    def channels(self) -> int:
        return self.info.channels

    def read(self, frames: int) -> np.ndarray:
        """The next frames, float32 (channels, n); n is smaller than asked only at the end of the file."""
        assert self._decoder is not None
        block = self._decoder.read(frames)
        self.position += len(block)
        if not np.isfinite(block).all():
            bad = int(np.flatnonzero(~np.isfinite(block).all(axis=1))[0])
            raise UserError(
                f"{self.name} contains NaN or infinite samples, the first at frame {self.position - len(block) + bad}; "
                "export the file again"
            )
        return np.ascontiguousarray(block.T)

    def skip(self, frames: int) -> None:
        """Go forward: by a seek where that is exact, by decoding elsewhere."""
        target = self.position + frames
        if frames == 0:
            return
        if self._decoder is not None and self.info.exact:
            if self._decoder.seek(target):
                self.position = target
                return
            if self.position > 0:  # a damaged file: only what lies before can be reached, and only from the start
                self._again()
        while self.position < target:
            if self.read(min(target - self.position, _BLOCK)).shape[1] == 0:
                return

    def _again(self) -> None:
        assert self._decoder is not None
        self._decoder.close()
        self._file.seek(0)
        self._decoder, self.position = _decoder(self._file, self.name), 0

    def __iter__(self) -> Iterator[np.ndarray]:
        while (block := self.read(self.block_frames)).shape[1]:
            yield block
        if self.position == 0:
            raise UserError(f"{self.name} holds no audio frames; give a file with audio")

    def close(self) -> None:
        if self._decoder is not None:
            self._decoder.close()
        if self._owned:
            self._file.close()

    def __enter__(self) -> BlockReader:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def open_blocks(source: Source, block_frames: int = _BLOCK, name: str | None = None) -> BlockReader:
    """Read a file of any length in bounded memory: iterate for float32 blocks (channels, <= block_frames)."""
    return BlockReader(source, block_frames, name)


def probe(source: Source, name: str | None = None) -> AudioInfo:
    """What the header says, without decoding. UserError for what is not audio."""
    with BlockReader(source, name=name) as reader:
        return reader.info


def read_audio(
    source: Source, start_frame: int = 0, num_frames: int | None = None, name: str | None = None, whole: bool = False
) -> tuple[np.ndarray, int]:
    """Decode a file, or frames start_frame .. start_frame + num_frames of it.

    source: path, bytes or open binary file; ``name`` is what messages call it.
    Returns (float32 (channels, samples), sample rate in Hz). Samples may exceed +-1. Of a damaged file it gives what can be
    decoded, with a line in the log; with ``whole`` it is refused. UserError: nothing to decode, NaN or infinite samples, or a
    range beyond the end.
    """
    if start_frame < 0 or (num_frames is not None and num_frames < 0):
        raise UserError(f"a range of {num_frames} frames from frame {start_frame} cannot be read; give numbers from 0 on")
    with BlockReader(source, name=name) as reader:
        reader_range = None if num_frames is None else start_frame + num_frames
        if reader.info.exact and max(start_frame, reader_range or 0) > reader.info.frames:
            raise _beyond(reader.name, start_frame, reader_range, reader.info.frames)
        reader.skip(start_frame)
        if reader.position < start_frame:
            raise _beyond(reader.name, start_frame, reader_range, reader.position)
        if num_frames is None:
            audio = _read_rest(reader)
        else:
            audio = reader.read(num_frames)
            if audio.shape[1] < num_frames:
                raise _beyond(reader.name, start_frame, reader_range, reader.position)
        if reader.position == 0 and num_frames is None:
            raise UserError(f"{reader.name} holds no audio frames; give a file with audio")
        if reader.damage and whole:
            raise UserError(f"{reader.name} is damaged or truncated: {reader.damage}; copy or export the file again")
        if reader.damage and num_frames is None:
            logger.warning("%s is damaged: %s", reader.name, reader.damage)
        return audio, reader.sample_rate


def _read_rest(reader: BlockReader) -> np.ndarray:
    """All that is left: one read of what the header promises, then whatever the decoder still gives."""
    promised = max(0, reader.info.frames - reader.position)
    parts = [reader.read(promised)]
    if not reader.info.exact:
        while (block := reader.read(_BLOCK)).shape[1]:
            parts.append(block)
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)


def _beyond(name: str, start: int, end: int | None, frames: int) -> UserError:
    wanted = f"frame {start}" if end is None else f"frames {start} to {end}"
    return UserError(f"{name} has {frames} frames, {wanted} were asked for; scan the file again if it changed")
