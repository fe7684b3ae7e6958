"""Independent references: the cookbook's own formulae, scipy's sections, plain float64 sample loops, typed anew from the papers."""

from __future__ import annotations

import math

import numba
import numpy as np
import scipy.signal


def relative_rms(output, reference) -> float:
    """RMS of the error over the RMS of the reference, float64."""
    reference = np.asarray(reference, dtype=np.float64)
    scale = math.sqrt(np.mean(reference**2))
    return math.sqrt(np.mean((np.asarray(output, dtype=np.float64) - reference) ** 2)) / max(scale, 1e-30)


def programme(rng: np.random.Generator, channels: int = 1, samples: int = 32768) -> np.ndarray:
    """Something like music: noise with a falling spectrum, bursts, gaps and level steps; float32 (channels, samples)."""
    noise = rng.standard_normal((channels, samples))
    coloured = scipy.signal.lfilter([1.0, 0.4], [1.0, -0.93], noise) * 0.2
    level_db = np.repeat(rng.uniform(-70.0, 0.0, samples // 1024 + 1), 1024)[:samples]
    level_db[rng.random(samples) < 1e-3] = -6.0
    signal = coloured * 10.0 ** (level_db / 20.0)
    signal[:, samples // 2 : samples // 2 + 700] = 0.0
    return signal.astype(np.float32)


def cookbook(kind: str, gain_db: float, cutoff_hz: float, q: float, sample_rate: float) -> list[float]:
    """b0, b1, b2, a0, a1, a2 exactly as printed in the Audio EQ Cookbook, divided by a0."""
    a = math.sqrt(10 ** (gain_db / 20))
    w = 2 * math.pi * min(cutoff_hz, 0.45 * sample_rate) / sample_rate
    cos, alpha = math.cos(w), math.sin(w) / (2 * q)
    beta = 2 * math.sqrt(a) * alpha
    if kind == "peak":
        c = [1 + alpha * a, -2 * cos, 1 - alpha * a, 1 + alpha / a, -2 * cos, 1 - alpha / a]
    elif kind == "low_shelf":
        c = [
            a * ((a + 1) - (a - 1) * cos + beta),
            2 * a * ((a - 1) - (a + 1) * cos),
            a * ((a + 1) - (a - 1) * cos - beta),
            (a + 1) + (a - 1) * cos + beta,
            -2 * ((a - 1) + (a + 1) * cos),
            (a + 1) + (a - 1) * cos - beta,
        ]
    elif kind == "high_shelf":
        c = [
            a * ((a + 1) + (a - 1) * cos + beta),
            -2 * a * ((a - 1) + (a + 1) * cos),
            a * ((a + 1) + (a - 1) * cos - beta),
            (a + 1) - (a - 1) * cos + beta,
            2 * ((a - 1) - (a + 1) * cos),
            (a + 1) - (a - 1) * cos - beta,
        ]
    elif kind == "low_pass":
        c = [(1 - cos) / 2, 1 - cos, (1 - cos) / 2, 1 + alpha, -2 * cos, 1 - alpha]
    elif kind == "high_pass":
        c = [(1 + cos) / 2, -(1 + cos), (1 + cos) / 2, 1 + alpha, -2 * cos, 1 - alpha]
    elif kind == "notch":
        c = [1, -2 * cos, 1, 1 + alpha, -2 * cos, 1 - alpha]
    else:
        raise ValueError(kind)
    return [value / c[3] for value in c]


def equalise(audio, bands, sample_rate):
    """bands: (kind, gain_db, cutoff_hz, q) -> float64 output of scipy's sections."""
    sos = np.array([cookbook(*band, sample_rate) for band in bands])
    return scipy.signal.sosfilt(sos, np.asarray(audio, dtype=np.float64), axis=-1)


@numba.njit
def _compressor_loop(level_db, threshold, ratio, attack, release, knee):
    """Giannoulis et al., equation 4 (static curve) and 17 (branching smoother on the reduction), sample by sample."""
    reduction = np.zeros(len(level_db))
    state = 0.0
    for n in range(len(level_db)):
        over = level_db[n] - threshold
        if 2.0 * over < -knee:
            r = 0.0
        elif 2.0 * abs(over) <= knee and knee > 0.0:
            r = (1.0 - 1.0 / ratio) * (over + knee / 2.0) ** 2 / (2.0 * knee)
        else:
            r = (1.0 - 1.0 / ratio) * over
        if r > state:
            state = attack * state + (1.0 - attack) * r
        else:
            state = release * state + (1.0 - release) * r
        reduction[n] = state
    return reduction


@numba.njit
def _expander_loop(level_db, threshold, ratio, attack, release, knee, limit):
    """The mirror image below the threshold; a falling reduction opens (attack), a rising one closes (release)."""
    reduction = np.zeros(len(level_db))
    state = 0.0
    for n in range(len(level_db)):
        under = threshold - level_db[n]
        if 2.0 * under < -knee:
            r = 0.0
        elif 2.0 * abs(under) <= knee and knee > 0.0:
            r = (ratio - 1.0) * (under + knee / 2.0) ** 2 / (2.0 * knee)
        else:
            r = (ratio - 1.0) * under
        r = min(r, limit)
        if r > state:
            state = release * state + (1.0 - release) * r
        else:
            state = attack * state + (1.0 - attack) * r
        reduction[n] = state
    return reduction


def level_db(audio) -> np.ndarray:
    """Loudest channel in dB, floor -96."""
    loudest = np.max(np.abs(np.asarray(audio, dtype=np.float64)), axis=0)
    return np.maximum(20 * np.log10(np.maximum(loudest, 1e-30)), -96.0)


def pole(time_ms: float, sample_rate: float) -> float:
    return math.exp(-math.log(9) / (sample_rate * time_ms / 1000))


def compress(audio, s, sample_rate):
    attack, release = pole(s["attack_ms"], sample_rate), pole(s["release_ms"], sample_rate)
    reduction = _compressor_loop(level_db(audio), s["threshold_db"], s["ratio"], attack, release, s["knee_db"])
    return np.asarray(audio, dtype=np.float64) * 10 ** ((s["makeup_gain_db"] - reduction) / 20)


def expand(audio, s, sample_rate):
    attack, release = pole(s["attack_ms"], sample_rate), pole(s["release_ms"], sample_rate)
    reduction = _expander_loop(level_db(audio), s["threshold_db"], s["ratio"], attack, release, s["knee_db"], s["range_db"])
    return np.asarray(audio, dtype=np.float64) * 10 ** ((s["makeup_gain_db"] - reduction) / 20)
