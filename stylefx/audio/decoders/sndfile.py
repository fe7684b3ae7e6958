"""libsndfile behind a reader that goes on where it would stop: joined streams, garbage, estimates of a length, bad frames.

It seeks wrongly in Ogg Vorbis (its issue 885) and in block codecs, and soundfile seeks after every read; so a seek is made
only where the encoding has a fixed size or is FLAC. What cannot be decoded is left out and said in ``damage``.
"""

from __future__ import annotations

from typing import BinaryIO

import numpy as np
import soundfile

from stylefx.audio.decoders.base import AudioInfo, Undecodable
from stylefx.audio.decoders.flac import flac_from
from stylefx.audio.decoders.formats import UNREAD_FORMATS, addressable
from stylefx.audio.decoders.layout import Layout, Section
from stylefx.audio.decoders.mpeg import mpeg_layout
from stylefx.audio.decoders.ogg import ogg_layout
from stylefx.audio.decoders.riff import missing_bytes, with_true_size
from stylefx.files.spans import Spans

_UNKNOWN_FRAMES = 1 << 60
_BYTES = {"PCM_S8": 1, "PCM_U8": 1, "ULAW": 1, "ALAW": 1, "PCM_16": 2, "PCM_24": 3, "DOUBLE": 8}


class _SoundFile(soundfile.SoundFile):  # type: ignore[misc]  # untyped
    """soundfile without the seek that it makes after every read of a seekable file."""

    def seekable(self) -> bool:
        return False

    def fill(self, out: np.ndarray) -> tuple[int, str]:
        """(frames decoded into ``out``, float32 (n, channels), and what then went wrong): soundfile drops the former for the
        latter."""
        pointer = soundfile._ffi.cast("float*", soundfile._ffi.from_buffer(out))
        got = soundfile._snd.sf_readf_float(self._file, pointer, len(out))
        code = soundfile._snd.sf_error(self._file)
        return got, soundfile._ffi.string(soundfile._snd.sf_error_number(code)).decode("utf-8", "replace") if code else ""


class SndfileDecoder:
    """See ``AudioDecoder``. Undecodable where libsndfile knows no such file."""

    def __init__(self, file: BinaryIO):
        self._file, self._number, self._position, self._lost = file, 0, 0, 0
        pieces = with_true_size(file)
        file.seek(0)
        self._layout = Layout((Section(tuple(pieces)),)) if pieces else Layout()
        self._sound = self._open(self._layout.sections[0])
        walk = {"MP3": mpeg_layout, "MPEG": mpeg_layout, "OGG": ogg_layout}.get(self._sound.format)
        promised = self._promised()
        if walk is not None:
            at = file.tell()
            self._layout = walk(file) or self._layout
            file.seek(at)  # libsndfile reads on from where it stood
            short = self._layout.frames - promised
            if len(self._layout.sections) == 1 and short > 0 and self._layout.sections[0].pieces is None:
                size = file.seek(0, 2)
                self._layout = Layout((Section(((0, size),), 64 * size),), self._layout.frames, self._layout.damage)
            if self._layout.sections != (Section(),):
                self._sound.close()
                self._sound = self._open(self._layout.sections[0])
                promised = self._layout.frames or promised
        self.damage = self._layout.damage
        sound = self._sound
        exact = addressable(sound.format, sound.subtype) and promised > 0
        self.info = AudioInfo(sound.samplerate, sound.channels, promised, sound.format, sound.subtype, exact)
        self._check_length()

    def _open(self, section: Section) -> _SoundFile:
        source = self._file if section.pieces is None else Spans(self._file, section.pieces, section.claimed)
        source.seek(0)
        try:
            sound = _SoundFile(source)
        except (soundfile.LibsndfileError, TypeError, ValueError) as error:
            raise Undecodable(getattr(error, "error_string", str(error)).rstrip(".")) from None
        if sound.format in UNREAD_FORMATS:
            sound.close()
            raise Undecodable(f"it is {sound.format}, which is not read")
        if section.skip:
            sound.read(section.skip, dtype="float32")
        return sound

    def _reopen(self) -> None:
        """From the start again."""
        self._number, self._lost = 0, 0
        self._sound.close()
        self._sound = self._open(self._layout.sections[0])

    def _promised(self) -> int:
        return self._sound.frames if 0 <= self._sound.frames < _UNKNOWN_FRAMES else 0

    def _check_length(self) -> None:
        missing = missing_bytes(self._file) if self.info.format in ("WAV", "WAVEX", "AIFF") else 0
        if missing:
            width = _BYTES.get(self.info.subtype, 4) * self.info.channels
            self._cut(self.info.frames + -(-missing // width), self.info.frames)

    def _cut(self, promised: int, there: int) -> None:
        self._say(f"its header promises {promised} frames, {there} can be decoded")

    def _say(self, what: str) -> None:
        if what not in self.damage:
            self.damage = "; ".join(filter(None, (self.damage, what)))

    def read(self, frames: int) -> np.ndarray:
        if self.info.exact:  # a damaged header may promise more than memory holds
            frames = max(0, min(frames, self.info.frames - self._position))
        out = np.empty((frames, self.info.channels), np.float32)
        done = 0
        while done < frames:
            if self._lost:
                got = min(self._lost, frames - done)
                out[done : done + got] = 0.0
                self._lost, done, self._position = self._lost - got, done + got, self._position + got
                continue
            got, error = self._sound.fill(out[done:])
            done, self._position = done + got, self._position + got
            if error:
                if not self._goes_on(error):
                    break
            elif done < frames and not self._next_section():
                break
        if done < frames and self._layout.sections[-1].claimed is None:
            self._at_end()
        return out[:done]

    def _goes_on(self, error: str) -> bool:
        """Go on behind a bad frame of FLAC: silence stands for what is lost. False where nothing follows."""
        reason = error.removeprefix("Error : ").rstrip(".")
        found = flac_from(self._file, self._position) if self.info.format == "FLAC" else None
        if found is None:
            self._say(f"it is damaged behind frame {self._position} ({reason}), what follows is lost")
            return False
        frame, pieces = found
        self._lost = frame - self._position
        self._say(f"it is damaged at frame {self._position} ({reason}), {self._lost} frames are silence")
        self._sound.close()
        self._sound = self._open(Section(pieces))
        return True

    def _next_section(self) -> bool:
        """Open the stream that follows; False at the end."""
        while self._number + 1 < len(self._layout.sections):
            self._number += 1
            try:
                sound = self._open(self._layout.sections[self._number])
            except Undecodable as error:
                self._say(f"a stream behind frame {self._position} cannot be decoded ({error})")
                continue
            if (sound.samplerate, sound.channels) != (self.info.sample_rate, self.info.channels):
                other = f"{sound.samplerate} Hz and {sound.channels} channels"
                self._say(f"a stream behind frame {self._position} has {other} and is left out")
                sound.close()
                continue
            self._sound.close()
            self._sound = sound
            return True
        return False

    def _at_end(self) -> None:
        counted = self.info.exact or self.info.format == "OGG"
        if counted and len(self._layout.sections) == 1 and self._position < self.info.frames:
            self._cut(self.info.frames, self._position)

    def seek(self, frame: int) -> bool:
        if not self.info.exact or self.info.frames < frame:
            return False
        try:
            self._sound.seek(frame)
        except soundfile.LibsndfileError:
            self._reopen()
            self._position = 0
            return False
        self._position = frame
        return True

    def close(self) -> None:
        self._sound.close()
