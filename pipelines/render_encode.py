"""One half as the bytes of a FLAC or WAV file; the same samples give the same bytes."""

from __future__ import annotations

import io

import numpy as np
import soundfile

from stylefx.audio.quantise import check_subtype, quantise
from stylefx.audio.wav import wav_header, wav_samples
from stylefx.corpus.schema import AUDIO_FORMATS


def extension(audio_format: str) -> str:
    return AUDIO_FORMATS[audio_format][0]


def encode(audio: np.ndarray, sample_rate: int, audio_format: str) -> bytes:
    """float32 (channels, samples) within full scale -> file bytes; audio_format is a key of AUDIO_FORMATS."""
    kind, subtype = AUDIO_FORMATS[audio_format]
    samples = quantise(audio, check_subtype(audio_format))
    if kind == "wav":  # headers of our own: libsndfile stamps float files with the time
        return wav_header(audio_format, audio.shape[0], sample_rate, audio.shape[1]) + wav_samples(samples, audio_format)
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, sample_rate, format="FLAC", subtype=subtype)
    return buffer.getvalue()
