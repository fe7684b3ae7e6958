"""The multi-resolution STFT distance without torch: what metrics report, and what a storage format costs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stylefx.audio.spectra import POWER_FLOOR, check_signal, power_of

MR_STFT_SIZES = (32, 128, 512, 2048, 8192, 32768)
_BLOCK = 1 << 14  # samples of a signal's frames at a time: what is made of them stays in the cache


def mr_stft(output: np.ndarray, target: np.ndarray) -> float:
    """Multi-resolution STFT distance of (channels, samples) signals; a pure number (log part: nepers)."""
    return mr_stfts([output], target)[0]


def mr_stfts(outputs: Sequence[np.ndarray], target: np.ndarray) -> list[float]:
    """``mr_stft`` of several signals to one target, whose spectra are taken once."""
    signals = np.stack(np.broadcast_arrays(target, *outputs)).astype(np.float64)
    check_signal(signals[0])
    widest = max(MR_STFT_SIZES) // 2
    padded = np.pad(signals, ((0, 0), (0, 0), (widest, widest)), mode="reflect")
    of_sizes = []
    for size in MR_STFT_SIZES:
        ends = widest - size // 2
        frames = np.lib.stride_tricks.sliding_window_view(padded[..., ends : padded.shape[-1] - ends], size, axis=-1)
        of_sizes.append(_distances(frames[:, :, :: size // 2]))
    return [float(total) / len(MR_STFT_SIZES) for total in np.sum(of_sizes, axis=0)]


def _distances(frames: np.ndarray) -> np.ndarray:
    """Frames (signals, channels, n, size) -> the mean difference of magnitudes and of their logarithms between the first signal
    and each other one, summed: (signals - 1,). Magnitudes have the floor of auraloss."""
    signals, channels, count, size = frames.shape
    total, step = np.zeros(signals - 1), max(1, _BLOCK // size)
    for start in range(0, count, step):
        power = np.maximum(power_of(frames[:, :, start : start + step]), POWER_FLOOR)
        logs = np.log(power[1:] / power[:1])  # twice that of the magnitudes, and a logarithm less
        magnitudes = np.sqrt(power)
        linear = magnitudes[1:] - magnitudes[:1]
        total += np.abs(linear, out=linear).sum(axis=(1, 2, 3)) + 0.5 * np.abs(logs, out=logs).sum(axis=(1, 2, 3))
    return total / (channels * count * (size // 2 + 1))
