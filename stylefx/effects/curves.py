"""What settings do, as curves: the response of linear effects in dB and the static curve of dynamics effects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from stylefx.effects.base import Effect
from stylefx.effects.chain import EffectChain
from stylefx.effects.registry import make_effect

#: effects that are linear and time-invariant, so that an impulse tells everything
LINEAR_EFFECTS = ("parametric_eq", "graphic_eq", "gain")


IMPULSE_SAMPLES = 1 << 17


def erb_grid(low_hz: float, high_hz: float, points: int = 64) -> np.ndarray:
    """Frequencies in Hz, equally spaced on the ERB-rate scale of Glasberg and Moore (1990): 21.4 log10(1 + 0.00437 f)."""
    rate = np.linspace(21.4 * np.log10(1 + 0.00437 * low_hz), 21.4 * np.log10(1 + 0.00437 * high_hz), points)
    return (10 ** (rate / 21.4) - 1) / 0.00437


def response_db(steps: Sequence[Mapping[str, Any]], sample_rate: float, frequency_hz: np.ndarray) -> np.ndarray:
    """Gain in dB of linear effects in series at the frequencies, float64 like ``frequency_hz``.

    ``steps`` are {"effect", "settings", "config"?, "bypass"?} entries; those that are not linear are passed over. An effect
    that knows its response is asked (``response_db``), of another the exact render of an impulse is transformed.
    """
    frequency_hz = np.asarray(frequency_hz, np.float64)
    total = np.zeros(frequency_hz.shape)
    for step in steps:
        if step["effect"] not in LINEAR_EFFECTS or step.get("bypass", False):
            continue
        effect = make_effect(step["effect"], **step.get("config", {}))
        if hasattr(effect, "response_db"):
            total += effect.response_db(step.get("settings") or {}, frequency_hz, sample_rate)
        else:
            total += _impulse_response_db(effect, step.get("settings"), sample_rate, frequency_hz)
    return total


def _impulse_response_db(
    effect: Effect, settings: Mapping[str, Any] | None, sample_rate: float, frequency_hz: np.ndarray
) -> np.ndarray:
    impulse = np.zeros((1, IMPULSE_SAMPLES), np.float32)
    impulse[0, 0] = 1.0
    spectrum = np.abs(np.fft.rfft(effect.render(impulse, settings, sample_rate)[0].astype(np.float64)))
    grid = np.fft.rfftfreq(IMPULSE_SAMPLES, 1.0 / sample_rate)
    return np.interp(frequency_hz, grid, 20.0 * np.log10(np.maximum(spectrum, 1e-10)))


def with_configs(chain: EffectChain, settings: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Settings of a chain as steps that carry their effects' configuration."""
    entries = chain.complete(settings)
    return [{**e, "config": slot.effect.config()} for slot, e in zip(chain.slots, entries, strict=True)]


def static_curve_db(effect: str, settings: Mapping[str, float], input_db: np.ndarray) -> np.ndarray:
    """Output level of a compressor or expander for steady input levels, dB -> dB (make-up gain included).

    The textbook soft knee of Giannoulis, Massberg and Reiss, JAES 60(6), 2012, and its mirror image for the expander, whose
    reduction stops at ``range_db``.
    """
    level = np.asarray(input_db, np.float64)
    over = level - settings["threshold_db"]
    if effect == "compressor":
        return level - (1.0 - 1.0 / settings["ratio"]) * _knee(over, settings["knee_db"]) + settings["makeup_gain_db"]
    if effect == "expander":
        reduction = np.minimum((settings["ratio"] - 1.0) * _knee(-over, settings["knee_db"]), settings["range_db"])
        return level - reduction + settings["makeup_gain_db"]
    raise ValueError(f"no static curve for the effect {effect!r}")


def _knee(over: np.ndarray, knee_db: float) -> np.ndarray:
    """max(over, 0) with a quadratic bend of width ``knee_db`` around 0."""
    if knee_db <= 0:
        return np.maximum(over, 0.0)
    bend = np.square(np.clip(over + knee_db / 2, 0.0, knee_db)) / (2 * knee_db)
    return np.where(over > knee_db / 2, over, bend)
