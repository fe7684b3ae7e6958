"""Mixing channels down without the 6 dB that a plain mean loses to a dead channel."""

from __future__ import annotations

import numpy as np

_DEAD_BELOW = 1e-6  # of the loudest channel's power: -60 dB


def channel_powers(audio: np.ndarray) -> np.ndarray:
    """Power of each channel of (channels, samples) without its constant part, float64 (channels,); 0 for no samples."""
    return np.var(audio, axis=1, dtype=np.float64) if audio.shape[1] else np.zeros(audio.shape[0])


def active_channels(audio: np.ndarray) -> np.ndarray:
    """Which channels carry signal, bool (channels,): power without DC within 60 dB of the loudest; all where all are silent."""
    return _active(channel_powers(audio))


def _active(power: np.ndarray) -> np.ndarray:
    loudest = power.max(initial=0.0)
    return power > _DEAD_BELOW * loudest if loudest > 0.0 else np.ones(power.shape, bool)


_CANCELLED_BELOW = 0.1  # of the channels' mean power: the sum of two channels lost more than 10 dB


def heard_mono(audio: np.ndarray, power: np.ndarray | None = None) -> tuple[np.ndarray, bool]:
    """float32 (channels <= 2, samples) -> (1, samples) with the power of the channels, and whether their sum would cancel.

    Where the sum of two channels has lost more than 10 dB, the difference has all but half a decibel of their power and is what
    is heard. ``power``: the ``channel_powers``, where they are known.
    """
    power = channel_powers(audio) if power is None else power
    active = _active(power)
    mono = mix_down(audio, active)
    if audio.shape[0] != 2 or not active.all():
        return mono, False
    mean = power.mean()
    if mean == 0.0 or np.var(mono, dtype=np.float64) >= _CANCELLED_BELOW * mean:
        return mono, False
    return mix_down(audio * np.array([[1.0], [-1.0]], np.float32), active), True


def mix_down(audio: np.ndarray, active: np.ndarray | None = None) -> np.ndarray:
    """float32 (channels, samples) -> (1, samples): the mean of the active channels.

    active: bool (channels,), measured on the whole recording, so that all its segments are mixed alike; default: measured here.
    """
    if audio.shape[0] == 1:
        return np.array(audio, np.float32)
    active = active_channels(audio) if active is None else np.asarray(active, bool)
    if not active.any():
        active = np.ones(audio.shape[0], bool)
    if audio.shape[0] == 2 and active.all():  # the bits of the sum below: a sum of two floats rounds alike from doubles
        return ((audio[0] + audio[1]) * np.float32(0.5)).astype(np.float32)[None]
    weights = active / active.sum()
    return np.einsum("c,cn->n", weights, audio.astype(np.float64)).astype(np.float32)[None]
