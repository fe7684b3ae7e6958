"""Recordings in drawn styles, rendered: what a curve does to averages is more than a sum where levels meet floors and leakage."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.fft

from stylefx.audio.levels import DEFAULT_LEVEL
from stylefx.effects.chain import EffectChain
from stylefx.keyed import Draw

_PEAK = 10 ** (DEFAULT_LEVEL.value / 20)
_PROCESSED = 0.35  # of the styles, those with the chain's other effects behind the curve
_FINE = 4096  # frequencies between which the gain is drawn as a line


def levelled(audio: np.ndarray) -> np.ndarray:
    """With its peak at the level that models are trained at."""
    return (audio * (_PEAK / max(float(np.abs(audio).max(initial=0.0)), 1e-5))).astype(np.float32)


def equalised(audio: np.ndarray, curve_db: np.ndarray, bands_hz: np.ndarray, sample_rate: float) -> np.ndarray:
    """(channels, samples) by a filter without phase whose gain is ``curve_db`` (bands,) at ``bands_hz``, lines between."""
    length = scipy.fft.next_fast_len(audio.shape[1] + _FINE, real=True)
    knots = np.geomspace(1.0, sample_rate / 2, _FINE)
    gain = 10 ** (np.interp(np.log(knots), np.log(bands_hz), curve_db) / 20)
    hz = np.arange(length // 2 + 1) * (sample_rate / length)
    spectrum = scipy.fft.rfft(audio, length) * np.interp(hz, knots, gain).astype(np.float32)
    return scipy.fft.irfft(spectrum, length)[:, : audio.shape[1]]


def others_settings(others: EffectChain, seed: int, identity: str) -> list[dict[str, Any]]:
    """Settings of the chain's other effects, all controls drawn evenly."""
    controls = [Draw(seed, f"warm-up/control {i}", identity).uniform(0.0, 1.0) for i in range(others.num_controls)]
    return others.settings(np.array(controls))


def in_styles(
    audio: np.ndarray, curves_db: np.ndarray, bands_hz: np.ndarray, others: EffectChain, sample_rate: float, seed: int, key: str
) -> np.ndarray:
    """(1, samples) and curves (styles, bands) -> float32 (styles, samples), each at the level of training."""
    out = []
    for number, curve_db in enumerate(curves_db):
        styled, identity = levelled(equalised(audio, curve_db, bands_hz, sample_rate)), f"{key}/{number}"
        if len(others.slots) and Draw(seed, "warm-up/style", identity).chance(_PROCESSED):
            styled = levelled(others.render(styled, others_settings(others, seed, identity), sample_rate))
        out.append(styled[0])
    return np.stack(out)
