"""Pitch, tempo and further augmentations, with the numbers that the recipe holds."""

from __future__ import annotations

from typing import Any

import numpy as np

from stylefx.audio.augment import apply_transform
from stylefx.audio.engines import pitch_tempo
from stylefx.errors import UserError


def augment(clip: np.ndarray, augmentation: dict[str, Any], sample_rate: int, frames: int) -> np.ndarray:
    """float32 (channels, read frames) -> float32 (channels, frames); ``frames`` is exact whatever the tempo."""
    cents, tempo = augmentation["pitch_cents"], augmentation["tempo"]
    if cents != 0.0 or tempo != 1.0:
        clip = pitch_tempo(clip, sample_rate, cents, tempo, out_frames=frames, engine=augmentation["engine"])
    if clip.shape[1] < frames:
        raise UserError(f"the clip has {clip.shape[1]} frames where {frames} are needed; plan again")
    clip = np.ascontiguousarray(clip[:, :frames])
    for extra in augmentation.get("extra", ()):
        clip = apply_transform(clip, sample_rate, extra["name"], extra["parameters"], extra["seed"])
    return clip
