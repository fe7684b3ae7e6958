"""One half as the bytes of a FLAC or WAV file; the same samples give the same bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stylefx.audio.writing import encode_within
from stylefx.corpus.schema import AUDIO_FORMATS

if TYPE_CHECKING:
    import numpy as np


def extension(audio_format: str) -> str:
    return AUDIO_FORMATS[audio_format][0]


def encode(audio: np.ndarray, sample_rate: int, audio_format: str) -> bytes:
    """float32 (channels, samples) within full scale -> file bytes; audio_format is a key of AUDIO_FORMATS."""
    return encode_within(audio, sample_rate, audio_format)
