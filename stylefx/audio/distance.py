"""The multi-resolution STFT distance without torch: what metrics report, and what a storage format costs."""

from __future__ import annotations

import numpy as np

from stylefx.audio.spectra import magnitude_frames

MR_STFT_SIZES = (32, 128, 512, 2048, 8192, 32768)


def mr_stft(output: np.ndarray, target: np.ndarray) -> float:
    """Multi-resolution STFT distance of (channels, samples) signals; a pure number (log part: nepers)."""
    total = 0.0
    for size in MR_STFT_SIZES:
        x, y = magnitude_frames(output, size, size // 2), magnitude_frames(target, size, size // 2)
        total += float(np.abs(x - y).mean() + np.abs(np.log(x) - np.log(y)).mean())
    return total / len(MR_STFT_SIZES)
