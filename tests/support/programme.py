"""Signals with the statistics of recordings: speech-like bursts over a noise floor, and a decaying chord."""

from __future__ import annotations

import numpy as np
import scipy.signal


def speech_like(samples: int = 48000, sample_rate: int = 24000, seed: int = 0, channels: int = 1) -> np.ndarray:
    """Voiced bursts with formants, pauses between them; float32 (channels, samples), peak 0.25."""
    rng = np.random.default_rng(seed)
    out = np.zeros((channels, samples))
    time = np.arange(samples) / sample_rate
    for channel in range(channels):
        pitch = 110.0 * (1.0 + 0.1 * np.sin(2 * np.pi * 0.7 * time + rng.uniform(0, 6)))
        source = scipy.signal.sawtooth(2 * np.pi * np.cumsum(pitch) / sample_rate) + 0.1 * rng.standard_normal(samples)
        for formant in rng.uniform([300, 900, 2200], [700, 1800, 3200]):
            b, a = scipy.signal.iirpeak(formant, 4.0, fs=sample_rate)
            source = 0.5 * source + 2.0 * scipy.signal.lfilter(b, a, source)
        envelope = np.clip(np.sin(2 * np.pi * 3.1 * time + rng.uniform(0, 6)), 0, 1) ** 2
        out[channel] = source * envelope + 1e-4 * rng.standard_normal(samples)
    return (0.25 * out / np.abs(out).max()).astype(np.float32)


def music_like(samples: int = 48000, sample_rate: int = 24000, seed: int = 0, channels: int = 2) -> np.ndarray:
    """Struck chords with partials, twice a second; float32 (channels, samples), peak 0.25."""
    rng = np.random.default_rng(seed)
    time = np.arange(samples) / sample_rate
    out = np.zeros((channels, samples))
    for onset in np.arange(0.0, samples / sample_rate, 0.5):
        after = np.maximum(time - onset, 0.0)
        for note in rng.choice([110.0, 164.8, 220.0, 277.2, 329.6, 440.0], 3, replace=False):
            for partial in range(1, 9):
                if note * partial < 0.45 * sample_rate:
                    tone = np.sin(2 * np.pi * note * partial * after) * np.exp(-after * (2 + partial)) * (time >= onset) / partial
                    out += rng.uniform(0.3, 1.0, (channels, 1)) * tone
    out += 1e-4 * rng.standard_normal(out.shape)
    return (0.25 * out / np.abs(out).max()).astype(np.float32)
