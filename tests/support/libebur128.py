"""Loudness and true peak by libebur128, an implementation of EBU R 128 and BS.1770-4 by others, in C."""

from __future__ import annotations

import math

import numpy as np
from pyebur128.pyebur128 import ChannelType, MeasurementMode, R128State, get_loudness_global, get_true_peak

_FIVE = (ChannelType.LEFT, ChannelType.RIGHT, ChannelType.CENTER, ChannelType.LEFT_SURROUND, ChannelType.RIGHT_SURROUND)


def _measured(audio: np.ndarray, rate: int, mode: MeasurementMode) -> R128State:
    state = R128State(len(audio), rate, mode)
    if len(audio) == len(_FIVE):
        for channel, kind in enumerate(_FIVE):
            state.set_channel(channel, kind)
    for start in range(0, audio.shape[1], rate):
        block = np.ascontiguousarray(audio[:, start : start + rate].T, np.float64)
        state.add_frames(block.ravel(), len(block))
    return state


def libebur128_lufs(audio: np.ndarray, rate: int) -> float:
    """Integrated loudness of (channels, samples)."""
    return get_loudness_global(_measured(audio, rate, MeasurementMode.MODE_I))


def libebur128_dbtp(audio: np.ndarray, rate: int) -> float:
    """True peak of (channels, samples)."""
    state = _measured(audio, rate, MeasurementMode.MODE_TRUE_PEAK)
    return 20.0 * math.log10(max(get_true_peak(state, channel) for channel in range(len(audio))))
