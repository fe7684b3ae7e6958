"""Writing audio: atomic, never clipped silently, byte-reproducible; to files, block by block, and to bytes.

The container follows from the file name (.wav .flac .aif .aiff), the samples from ``subtype``: pcm16, pcm24, float32
(WAV and AIFF; for FLAC pcm16 and pcm24 mean flac16 and flac24).
"""

from __future__ import annotations

import contextlib
import io
import math
import os
import tempfile
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile

from stylefx.audio.flac import decode_flac, encode_flac
from stylefx.audio.quantise import as_samples, check_subtype, exceeds, fit, integers, protective_gain, quantise
from stylefx.audio.reading import read_audio
from stylefx.audio.wav import decode_wav, wav_header, wav_samples
from stylefx.errors import UserError
from stylefx.files.atomic import check_writable, publish
from stylefx.files.claims import Claim
from stylefx.files.sentences import as_sentence

_CONTAINERS = {".wav": "WAV", ".flac": "FLAC", ".aif": "AIFF", ".aiff": "AIFF"}
_LIBSNDFILE_SUBTYPES = {16: "PCM_16", 24: "PCM_24", 0: "FLOAT"}
_FLAC_MAX_RATE = 655350
_SFC_SET_ADD_PEAK_CHUNK = 0x1050  # sndfile.h
_SPOOL_FRAMES = 1 << 16


def write_audio(
    path: str | os.PathLike[str], audio: np.ndarray, sample_rate: int, subtype: str = "pcm16", over: str = "scale"
) -> float:
    """Write float32 (channels, samples) to a file that appears only when it is complete; returns the gain applied in dB.

    over: what to do where a fixed-point format would clip: "scale" the whole down (the gain is returned) or "error".
    UserError: unknown format, NaN or infinite samples, a folder that cannot be written.
    """
    with AudioWriter(path, sample_rate, subtype, over) as writer:
        writer.write(audio)
        return writer.commit()


def encode_audio(audio: np.ndarray, sample_rate: int, subtype: str, over: str = "error") -> bytes:
    """float32 (channels, samples) -> bytes of a FLAC (flac16, flac24) or WAV (pcm16, pcm24, float32) file, always the same."""
    bits = check_subtype(subtype)
    audio, _ = fit(as_samples(audio), bits, over, "audio to encode")
    if subtype.startswith("flac"):
        _check_flac(sample_rate, audio.shape[0], "audio to encode")
    return encode_within(audio, sample_rate, subtype)


def encode_within(audio: np.ndarray, sample_rate: int, subtype: str) -> bytes:
    """``encode_audio`` of audio that is known to be finite and within the limits. FLAC of one or two channels is our own."""
    (channels, frames), bits = audio.shape, check_subtype(subtype)
    if subtype.startswith("flac"):
        if frames and channels <= 2:
            return encode_flac(integers(audio, bits), sample_rate, bits)
        buffer = io.BytesIO()
        container = {"format": "FLAC", "subtype": _LIBSNDFILE_SUBTYPES[bits]}
        soundfile.write(buffer, quantise(audio, bits), sample_rate, **container)
        return buffer.getvalue()
    data = wav_samples(quantise(audio, bits), subtype)  # headers of our own: libsndfile stamps float files with the time
    return wav_header(subtype, channels, sample_rate, frames) + data + b"\0" * (len(data) % 2)


def decode_audio(data: bytes) -> tuple[np.ndarray, int]:
    """Bytes of any readable file -> (float32 (channels, samples), sample rate in Hz); plain FLAC and WAV take short ways.
    UserError for what is damaged, too."""
    own = decode_flac(data) if data[:4] == b"fLaC" else decode_wav(data)
    return own if own is not None else read_audio(data, whole=True)


class AudioWriter:
    """Writes one file block by block in bounded memory. Nothing appears under the path before ``commit``.

    Leaving the ``with`` block without a commit (an exception) removes the temporary file. With ``over="scale"`` and a
    fixed-point format, the blocks wait in a float32 file until the peak is known.
    """

    def __init__(self, path: str | os.PathLike[str], sample_rate: int, subtype: str = "pcm16", over: str = "scale"):
        self.path = Path(path)
        self.sample_rate, self.subtype, self.over = int(sample_rate), subtype, over
        self.bits = check_subtype(subtype)
        self.channels: int | None = None
        self.frames = 0
        self._low = self._high = 0.0
        self._container = _container(self.path, subtype)
        if over not in ("scale", "error"):
            raise UserError(f"over={over!r} is not known; choose scale or error")
        self._claim: Claim | None = None
        self._spool: BinaryIO | None = None
        self._encoder: Callable[[np.ndarray], object] | None = None
        self._done = False
        check_writable(self.path)

    @cached_property
    def _file(self) -> BinaryIO:
        """The temporary file, made when needed: a signal before that leaves nothing, after it ``close`` removes it."""
        try:
            self._claim = Claim(self.path)
            return open(self._claim.path, "w+b")
        except OSError as error:
            raise as_sentence(error, self.path) from None

    @property
    def _claimed(self) -> Claim:
        assert self._claim is not None  # made with the file
        return self._claim

    def write(self, block: np.ndarray) -> None:
        """Append float32 (channels, n)."""
        block = as_samples(block)
        if self.channels is None:
            self.channels = block.shape[0]
            if self._container == "FLAC":
                _check_flac(self.sample_rate, self.channels, str(self.path))
            if self._must_wait:
                self._spool = tempfile.TemporaryFile(dir=self.path.parent)  # noqa: SIM115 (closed in close)
        elif block.shape[0] != self.channels:
            raise UserError(f"{self.path} has {self.channels} channels, a block with {block.shape[0]} was given")
        if block.size:
            self._low, self._high = min(self._low, float(block.min())), max(self._high, float(block.max()))
        self.frames += block.shape[1]
        if self._spool is not None:
            self._spool.write(np.ascontiguousarray(block.T).tobytes())
            return
        if protective_gain(self._low, self._high, self.bits) != 1.0:
            raise exceeds(str(self.path), max(self._high, -self._low), self.bits)
        self._encode(block, self.channels)

    @property
    def _must_wait(self) -> bool:
        return self.bits != 0 and self.over == "scale"

    def _encode(self, block: np.ndarray, channels: int) -> None:
        samples = quantise(block, self.bits)
        if self._encoder is None:
            if self._container == "WAV":
                self._file.write(wav_header(self._wav_subtype, channels, self.sample_rate, 0))
                self._encoder = lambda data: self._file.write(wav_samples(data, self._wav_subtype))
            else:
                subtype = _LIBSNDFILE_SUBTYPES[self.bits]
                # By its number: through a Python file a full disk would not come back as an error.
                self._sound = soundfile.SoundFile(
                    self._file.fileno(), "w", self.sample_rate, channels, subtype, format=self._container, closefd=False
                )
                _leave_out_the_time(self._sound)
                self._encoder = self._sound.write
        self._encoder(samples)

    @property
    def _wav_subtype(self) -> str:
        return {16: "pcm16", 24: "pcm24", 0: "float32"}[self.bits]

    def commit(self, finish: Callable[[Path], None] | None = None) -> float:
        """Finish, flush to disk and publish under the path; returns the gain applied in dB (0 where nothing was scaled).
        ``finish`` may add to the whole file (tags) before it is published."""
        if self.channels is None:
            raise UserError(f"{self.path}: no audio was given to write")
        gain = protective_gain(self._low, self._high, self.bits) if self._must_wait else 1.0
        if self._spool is not None:
            self._spool.seek(0)
            while data := self._spool.read(_SPOOL_FRAMES * self.channels * 4):
                self._encode(np.frombuffer(data, np.float32).reshape(-1, self.channels).T * np.float32(gain), self.channels)
        elif self._encoder is None:
            self._encode(np.zeros((self.channels, 0), np.float32), self.channels)
        self._finish_file(self.channels)
        if finish is not None:
            finish(self._claimed.path)
        publish(self._claimed.path, self.path)
        self._claimed.release()
        self._done = True
        return 0.0 if gain == 1.0 else 20.0 * math.log10(np.float32(gain))

    def _finish_file(self, channels: int) -> None:
        if self._encoder is None:
            self._encode(np.zeros((channels, 0), np.float32), channels)
        if self._container == "WAV":
            if self._file.seek(0, os.SEEK_END) % 2:
                self._file.write(b"\0")
            self._file.seek(0)
            self._file.write(wav_header(self._wav_subtype, channels, self.sample_rate, self.frames))
        else:
            self._sound.close()
        self._file.close()

    def close(self) -> None:
        if self._spool is not None:
            self._spool.close()
        if self._done:
            return
        # What is thrown away may fail to flush (a full disk); the first error has said why.
        with contextlib.suppress(OSError, RuntimeError, AssertionError):
            if self._encoder is not None and self._container != "WAV":
                self._sound.close()
        if "_file" in self.__dict__:
            with contextlib.suppress(OSError):
                self._file.close()
        if self._claim is not None:
            self._claim.drop()

    def __enter__(self) -> AudioWriter:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _leave_out_the_time(sound: soundfile.SoundFile) -> None:
    """Before the first sample: no PEAK chunk, which float files get by default and which holds the time of writing."""
    soundfile._snd.sf_command(sound._file, _SFC_SET_ADD_PEAK_CHUNK, soundfile._ffi.NULL, 0)


def _container(path: Path, subtype: str) -> str:
    container = _CONTAINERS.get(path.suffix.lower())
    if container is None:
        raise UserError(f"{path}: files named {path.suffix or 'without an extension'} are not written; use .wav, .flac or .aiff")
    if container == "FLAC" and subtype == "float32":
        raise UserError(f"{path}: FLAC holds no float samples; choose flac16 or flac24, or name the file .wav")
    if container != "FLAC" and subtype.startswith("flac"):
        raise UserError(f"{path}: {subtype} is for files named .flac")
    return container


def _check_flac(sample_rate: int, channels: int, name: str) -> None:
    if not 1 <= sample_rate <= _FLAC_MAX_RATE or channels > 8:
        raise UserError(f"{name}: FLAC cannot hold {channels} channels at {sample_rate} Hz (at most 8 and {_FLAC_MAX_RATE} Hz)")
