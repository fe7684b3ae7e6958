"""Channels that are filtered side by side give the same bits as each alone."""

from __future__ import annotations

import numpy as np
import pytest

from stylefx.effects.kernels.biquad import design
from stylefx.effects.kernels.cascade import CascadeProcess


def sections(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    kinds = rng.choice(["peak", "low_shelf", "high_shelf"], 1 + seed % 7)
    return np.array(
        [design(kind, rng.uniform(40, 10000), rng.uniform(0.3, 6), 24000.0, rng.uniform(-12, 12))[0] for kind in kinds]
    )


def blocks(audio: np.ndarray, seed: int) -> list[np.ndarray]:
    return np.array_split(audio, np.sort(np.random.default_rng(seed).integers(0, audio.shape[1], 6)), axis=1)


@pytest.mark.parametrize("channels", range(1, 18))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_channels_side_by_side_are_the_same_bits_as_each_alone(channels, dtype):
    rng = np.random.default_rng(channels)
    audio = rng.normal(0, 0.3, (channels, 4000)).astype(dtype)
    audio[:, 1500:] *= 10.0 ** -rng.integers(0, 40, (channels, 1))  # some decay into what is flushed to zero
    audio[:, 2500:] = 0.0
    together = CascadeProcess(sections(channels), channels, dtype)
    out = np.concatenate([together(block) for block in blocks(audio, channels)], axis=1)
    for c in range(channels):
        alone = CascadeProcess(sections(channels), 1, dtype)
        np.testing.assert_array_equal(out[c], np.concatenate([alone(b) for b in blocks(audio[c : c + 1], channels)], axis=1)[0])
