"""Reading audio files: float32 (channels, samples) at the file's own rate, exactly as decoded.

libsndfile seeks wrongly in Ogg Vorbis (its issue 885), and soundfile seeks after every read. So only formats whose
frames can be addressed (FLAC, WAV, AIFF and their relatives) are ever sought in; Vorbis, Opus and MP3 are decoded from
their start and cut in memory. Samples above full scale are kept: lossy decoders produce them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import soundfile

from stylefx.audio.g722 import G722_RATE, decode_g722, g722_frames
from stylefx.audio.sources import Source, missing_bytes, open_binary, source_name
from stylefx.errors import UserError

SEEKABLE_FORMATS = frozenset({"WAV", "WAVEX", "RF64", "W64", "FLAC", "AIFF", "CAF", "AU"})
SEQUENTIAL_FORMATS = frozenset({"OGG", "MP3", "MPEG"})
_BLOCK = 1 << 16
_UNKNOWN_FRAMES = 1 << 60
_FORMATS_TEXT = "WAV, FLAC, AIFF, MP3, Ogg Vorbis, Opus or raw G.722 (.g722)"


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


class _SoundFile(soundfile.SoundFile):
    """soundfile without the seek that it makes after every read of a seekable file."""

    def seekable(self) -> bool:
        return False


class BlockReader:
    """The decoded blocks of one file, in order, in bounded memory. A context manager and an iterator.

    Attributes: ``info``, ``sample_rate``, ``channels``, ``position`` (frames delivered or skipped so far).
    Raises UserError for what cannot be decoded, NaN or infinite samples, and files that end before their header says.
    """

    def __init__(self, source: Source, block_frames: int = _BLOCK, name: str | None = None):
        if block_frames < 1:
            raise UserError(f"blocks of {block_frames} frames cannot be read; give a positive number")
        self.name = source_name(source, name)
        self.block_frames = block_frames
        self.position = 0
        self._pcm: np.ndarray | None = None
        self._sound: _SoundFile | None = None
        self._file, self._owned = open_binary(source, self.name)
        try:
            if self.name.lower().endswith(".g722"):
                size = self._file.seek(0, 2)
                self._file.seek(0)
                self.info = AudioInfo(G722_RATE, 1, g722_frames(size), "G722", "G722", exact=True)
            else:
                self._open_sound()
        except BaseException:
            self.close()
            raise

    def _open_sound(self) -> None:
        try:
            self._sound = _SoundFile(self._file)
        except (soundfile.LibsndfileError, TypeError, ValueError) as error:
            reason = getattr(error, "error_string", str(error)).rstrip(".")
            raise UserError(f"{self.name} cannot be decoded ({reason}); give {_FORMATS_TEXT}") from None
        sound = self._sound
        if sound.format not in SEEKABLE_FORMATS | SEQUENTIAL_FORMATS:
            raise UserError(f"{self.name} is {sound.format}, which is not read; give {_FORMATS_TEXT}")
        frames = sound.frames if 0 <= sound.frames < _UNKNOWN_FRAMES else 0
        exact = sound.format in SEEKABLE_FORMATS and sound.frames == frames
        self.info = AudioInfo(sound.samplerate, sound.channels, frames, sound.format, sound.subtype, exact)

    @property
    def sample_rate(self) -> int:
        return self.info.sample_rate

    @property
    def channels(self) -> int:
        return self.info.channels

    def read(self, frames: int) -> np.ndarray:
        """The next frames, float32 (channels, n); n is smaller than asked only at the end of the file."""
        if self._sound is None:
            if self._pcm is None:
                self._pcm = decode_g722(self._file.read(), self.name)
            block = self._pcm[self.position : self.position + frames]
        else:
            block = self._read_sound(frames)
        self.position += len(block)
        if not np.isfinite(block).all():
            bad = int(np.flatnonzero(~np.isfinite(block).all(axis=1))[0])
            raise UserError(
                f"{self.name} contains NaN or infinite samples, the first at frame {self.position - len(block) + bad}; "
                "export the file again"
            )
        return np.ascontiguousarray(block.T)

    def _read_sound(self, frames: int) -> np.ndarray:
        if self.info.exact:  # a damaged header may promise more than memory holds
            frames = max(0, min(frames, self.info.frames - self.position))
        out = np.empty((frames, self.channels), np.float32)
        try:
            block = self._sound.read(out=out)
        except soundfile.LibsndfileError as error:
            reason = error.error_string.rstrip(".")
            raise UserError(f"{self.name} is damaged near frame {self.position}: {reason}") from None
        if len(block) < frames and self.info.exact:
            raise UserError(
                f"{self.name} is truncated: its header promises {self.info.frames} frames, "
                f"{self.position + len(block)} can be decoded; copy or export the file again"
            )
        return block

    def skip(self, frames: int) -> None:
        """Go forward: by a seek where that is exact, by decoding elsewhere."""
        if frames == 0:
            return
        if self._sound is not None and self.info.exact:
            try:
                self._sound.seek(self.position + frames)
            except soundfile.LibsndfileError:
                raise UserError(
                    f"{self.name} is truncated or damaged: frame {self.position + frames} of the {self.info.frames} "
                    "that its header promises cannot be reached; copy or export the file again"
                ) from None
            self.position += frames
            return
        while frames > 0:
            got = self.read(min(frames, _BLOCK)).shape[1]
            if got == 0:
                return
            frames -= got

    def check_length(self) -> None:
        """UserError where a WAV or AIFF file is shorter than its header says (libsndfile shortens it silently)."""
        missing = missing_bytes(self._file) if self.info.format in ("WAV", "WAVEX", "AIFF") else 0
        if missing:
            width = {"PCM_S8": 1, "PCM_U8": 1, "PCM_16": 2, "PCM_24": 3, "DOUBLE": 8}.get(self.info.subtype, 4)
            promised = self.info.frames + -(-missing // (width * self.channels))
            raise UserError(
                f"{self.name} is truncated: its header promises {promised} frames, {self.info.frames} can be decoded; "
                "copy or export the file again"
            )

    def __iter__(self) -> Iterator[np.ndarray]:
        if self.position == 0:
            self.check_length()
        while (block := self.read(self.block_frames)).shape[1]:
            yield block
        if self.position == 0:
            raise UserError(f"{self.name} holds no audio frames; give a file with audio")

    def close(self) -> None:
        if self._sound is not None:
            self._sound.close()
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
    source: Source, start_frame: int = 0, num_frames: int | None = None, name: str | None = None
) -> tuple[np.ndarray, int]:
    """Decode a file, or frames start_frame .. start_frame + num_frames of it.

    source: path, bytes or open binary file; ``name`` is what messages call it.
    Returns (float32 (channels, samples), sample rate in Hz). Samples may exceed +-1.
    UserError: nothing to decode, damaged, truncated, NaN or infinite samples, or a range beyond the end.
    """
    if start_frame < 0 or (num_frames is not None and num_frames < 0):
        raise UserError(f"a range of {num_frames} frames from frame {start_frame} cannot be read; give numbers from 0 on")
    with BlockReader(source, name=name) as reader:
        reader.check_length()
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
