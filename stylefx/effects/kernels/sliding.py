"""Largest absolute value over a sliding window, in constant time per sample (a queue of falling values: D. Lemire,
"Streaming maximum-minimum filter using no more than three comparisons per element", 2006)."""

from __future__ import annotations

import numpy as np

from stylefx.effects.base import as_block
from stylefx.effects.kernels.jit import kernel


class SlidingPeak:
    """A stream: float32 (channels, n) -> float32 (1, n), the largest |x| over all channels and the last ``window`` samples."""

    def __init__(self, window: int):
        self._values = np.zeros(window, np.float32)
        self._stamps = np.zeros(window, np.int64)
        self._ends = np.zeros(3, np.int64)  # first entry of the queue, number of entries, samples seen

    def __call__(self, block: np.ndarray) -> np.ndarray:
        out = np.empty((1, block.shape[1]), np.float32)
        _slide(as_block(block), out, self._values, self._stamps, self._ends)
        return out


@kernel
def _slide(audio, out, values, stamps, ends):
    window = values.shape[0]
    first, count, now = ends[0], ends[1], ends[2]
    for i in range(audio.shape[1]):
        peak = np.float32(0.0)
        for c in range(audio.shape[0]):
            x = np.float32(abs(audio[c, i]))
            peak = x if x > peak else peak
        if count > 0 and stamps[first] <= now - window:
            first = first + 1 if first + 1 < window else 0
            count -= 1
        while count > 0:
            last = first + count - 1
            last = last if last < window else last - window
            if values[last] > peak:
                break
            count -= 1
        place = first + count
        place = place if place < window else place - window
        values[place], stamps[place] = peak, now
        count += 1
        out[0, i] = values[first]
        now += 1
    ends[0], ends[1], ends[2] = first, count, now
