"""An augmentation: a function of the audio, the rate, a seed and its parameters; the shape stays."""

from __future__ import annotations

import numpy as np


def crackle(audio: np.ndarray, sample_rate: int, seed: int, per_second: float = 20.0, level: float = 0.05) -> np.ndarray:
    """Clicks at random places, the same for the same seed; float32 (channels, samples)."""
    rng = np.random.default_rng(seed)
    count = round(per_second * audio.shape[1] / sample_rate)
    audio[:, rng.integers(0, audio.shape[1], count)] += np.float32(level) * rng.choice([-1, 1], count).astype(np.float32)
    return audio
