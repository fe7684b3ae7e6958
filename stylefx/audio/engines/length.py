"""Lengths of stretched audio."""

from __future__ import annotations

import numpy as np


def default_frames(num_frames: int, tempo: float) -> int:
    """round(num_frames / tempo), halves upwards."""
    return int(np.floor(num_frames / tempo + 0.5))


def fit_frames(audio: np.ndarray, frames: int) -> np.ndarray:
    """A contiguous copy of float32 (channels, n), cut or continued with silence to (channels, frames)."""
    out = np.zeros((audio.shape[0], frames), np.float32)
    kept = min(frames, audio.shape[1])
    out[:, :kept] = audio[:, :kept]
    return out
