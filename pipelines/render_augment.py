"""Pitch, tempo and further augmentations, with the numbers that the recipe holds."""

from __future__ import annotations

import random

import numpy as np

from stylefx.audio.engines import pitch_tempo
from stylefx.errors import UserError


def augment(clip: np.ndarray, augmentation: dict, sample_rate: int, frames: int) -> np.ndarray:
    """float32 (channels, read frames) -> float32 (channels, frames); ``frames`` is exact whatever the tempo."""
    cents, tempo = augmentation["pitch_cents"], augmentation["tempo"]
    if cents != 0.0 or tempo != 1.0:
        clip = pitch_tempo(clip, sample_rate, cents, tempo, out_frames=frames, engine=augmentation["engine"])
    if clip.shape[1] < frames:
        raise UserError(f"the clip has {clip.shape[1]} frames where {frames} are needed; plan again")
    clip = np.ascontiguousarray(clip[:, :frames])
    for extra in augmentation.get("extra", ()):
        clip = _further(clip, extra, sample_rate)
    return clip


def _further(clip: np.ndarray, extra: dict, sample_rate: int) -> np.ndarray:
    """One transform of the package audiomentations, seeded; same shape in and out."""
    import audiomentations

    transform = getattr(audiomentations, extra["name"], None)
    if transform is None:
        raise UserError(f"audiomentations has no transform {extra['name']!r}")
    before, before_numpy = random.getstate(), np.random.get_state()
    random.seed(extra["seed"])
    np.random.seed(extra["seed"] % 2**32)
    try:
        out = transform(p=1.0, **extra["parameters"])(clip, sample_rate)
    finally:
        random.setstate(before)
        np.random.set_state(before_numpy)
    out = np.ascontiguousarray(np.atleast_2d(out), np.float32)
    if out.shape != clip.shape:
        raise UserError(f"{extra['name']} changes the shape {clip.shape} to {out.shape}; use transforms that keep the length")
    return out
