"""Boost where a recording has nothing to boost: bounded, and said. Noise and coding rests are all that would come up there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from stylefx.effects.base import Effect
from stylefx.effects.chain import EffectChain
from stylefx.inference.hearing.windows import Analysis

EMPTY_BELOW_DB = -65.0  # a third of an octave, relative to the loudest
MOST_BOOST_DB = 6.0  # in an empty band, relative to what the equaliser does where there is sound
_LOWEST_HZ = 40.0
_STEPS = 60


@dataclass(frozen=True)
class Limited:
    """One setting that was bounded: as it was and as it is, and where the recording has nothing."""

    effect: str
    parameter: str
    was_db: float
    used_db: float
    empty_hz: float
    level_db: float

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def limited_line(entry: Mapping[str, Any]) -> str:
    """One line for terminal and page."""
    return (
        f"limited because the input has no energy around {entry['empty_hz']:.0f} Hz ({entry['level_db']:.0f} dB): "
        f"{entry['parameter'].removesuffix('_db').replace('_', ' ')} {entry['was_db']:+.1f} -> {entry['used_db']:+.1f} dB"
    )


def third_octaves(heard: Analysis, model_rate: float) -> tuple[np.ndarray, np.ndarray]:
    """Centres in Hz and levels in dB relative to the loudest, of what was heard; up to where both rates reach."""
    audio = heard.batch()[:, 0].astype(np.float64)
    power = np.square(np.abs(np.fft.rfft(audio * np.hanning(audio.shape[1])))).mean(axis=0)
    hz = np.fft.rfftfreq(audio.shape[1], 1 / model_rate)
    highest = 0.45 * min(model_rate, heard.sample_rate)
    centres = _LOWEST_HZ * 2 ** (np.arange(int(3 * np.log2(highest / _LOWEST_HZ)) + 1) / 3)
    edges = np.searchsorted(hz, [centres * 2 ** (-1 / 6), centres * 2 ** (1 / 6)])
    levels = np.array([power[a : max(a + 1, b)].sum() for a, b in edges.T])
    return centres, 10 * np.log10(np.maximum(levels / max(levels.max(), 1e-300), 1e-20))


def bound_boost(
    chain: EffectChain, settings: Sequence[dict[str, Any]], heard: Analysis, model_rate: float
) -> tuple[list[dict[str, Any]], list[Limited]]:
    """Equalisers with no more than 6 dB of boost where the recording is empty, and what was taken back."""
    centres, levels = third_octaves(heard, model_rate)
    empty = levels < EMPTY_BELOW_DB
    entries, limits = chain.complete(settings), list[Any]()
    if not empty.any() or empty.all():
        return entries, limits
    for i, effect in enumerate(chain.effects):
        if hasattr(effect, "response_db") and not entries[i]["bypass"]:
            values, where = _bounded(effect, entries[i]["settings"], centres, empty, model_rate)
            limits += [_limited(effect, name, entries[i]["settings"], values, centres, levels, at) for name, at in where.items()]
            entries[i] = {**entries[i], "settings": values}
    return entries, limits


def _limited(
    effect: Effect,
    name: str,
    was: Mapping[str, float],
    used: Mapping[str, float],
    centres: np.ndarray,
    levels: np.ndarray,
    at: int,
) -> Limited:
    return Limited(effect.name, name, was[name], used[name], float(centres[at]), float(levels[at]))


def _bounded(
    effect: Any, settings: Mapping[str, float], centres: np.ndarray, empty: np.ndarray, sample_rate: float
) -> tuple[dict[str, float], dict[str, int]]:
    """Of the gains that raise the worst empty band, the one that raises it most is lowered, until none is above the bound."""
    values, where = dict(settings), {}
    gains = [p.name for p in effect.parameters if p.name.endswith("gain_db")]
    for _ in range(_STEPS):
        response = effect.response_db(values, centres, sample_rate)
        boost = np.where(empty, response - response[~empty].mean(), -np.inf)
        at = int(boost.argmax())
        excess = float(boost[at]) - MOST_BOOST_DB
        raised = {n: _share(effect, values, n, centres[at : at + 1], sample_rate) for n in gains if values[n] > 0.0}
        if excess <= 0.05 or not raised:
            break
        name = max(raised, key=lambda n: raised[n])
        if raised[name] <= 0.05:
            break
        values[name] = max(0.0, values[name] * (1.0 - min(1.0, excess / raised[name])))
        where[name] = at
    return values, where


def _share(effect: Any, values: Mapping[str, float], name: str, hz: np.ndarray, sample_rate: float) -> float:
    """How many dB of the response at one frequency are due to one gain."""
    without = effect.response_db({**values, name: 0.0}, hz, sample_rate)
    return float((effect.response_db(values, hz, sample_rate) - without)[0])
