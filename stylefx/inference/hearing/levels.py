"""From full style to less or more of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stylefx.effects.base import Effect
from stylefx.effects.chain import EffectChain, Slot
from stylefx.effects.palette.parametric_eq import ParametricEq
from stylefx.errors import UserError
from stylefx.inference.choices import MAX_INTENSITY

_MAX_SLOPE = 1 - 1 / 100  # a ratio of 100 is as good as a limiter


def scale_intensity(chain: EffectChain, settings: Sequence[dict[str, Any]], intensity: float) -> list[dict[str, Any]]:
    """Less (below 1) or more (up to 1.5) of a style; 0 is neutral.

    Gains in dB are multiplied. A compressor's slope 1 - 1/ratio is multiplied too, so that its gain reduction in dB
    scales at every level; an expander's slope is ratio - 1. Frequencies, Q, times and thresholds stay. Other
    parameters move on the line from their default through the value, inside their range.
    """
    if not 0.0 <= intensity <= MAX_INTENSITY:
        raise UserError(f"intensity is {intensity}; give a number in 0..{MAX_INTENSITY}")
    entries = chain.complete(settings)
    if intensity == 1.0:
        return entries
    out = []
    for effect, entry in zip(chain.effects, entries, strict=True):
        out.append({**entry, "settings": _scaled(effect, entry["settings"], intensity)})
    return out


_KEPT = ("_cutoff_hz", "_q", "threshold_db", "ceiling_db", "attack_ms", "release_ms", "knee_db", "range_db")


def _scaled(effect: Effect, values: dict[str, float], intensity: float) -> dict[str, float]:
    out = {}
    for parameter in effect.parameters:
        name, value = parameter.name, values[parameter.name]
        if name.endswith(_KEPT):
            out[name] = value
        elif name.endswith("gain_db"):
            out[name] = intensity * value
        elif name.endswith("ratio") and effect.name == "expander":
            out[name] = 1.0 + intensity * (value - 1.0)
        elif name.endswith("ratio"):
            out[name] = 1.0 / (1.0 - min(intensity * (1.0 - 1.0 / value), _MAX_SLOPE))
        else:
            start = parameter.to_control(parameter.default)
            control = start + intensity * (parameter.to_control(value) - start)
            out[name] = parameter.from_control(min(max(control, 0.0), 1.0))
    return out


_OFFSET_BAND = {"name": "offset", "kind": "high_pass", "range_hz": [1.0, 20.0]}
OFFSET_CUTOFF_HZ = 5.0


def offset_filter() -> ParametricEq:
    """The high pass that takes a constant offset away."""
    return ParametricEq(bands=[_OFFSET_BAND])


def without_offset(chain: EffectChain, settings: Sequence[dict[str, Any]]) -> tuple[EffectChain, list[dict[str, Any]]]:
    """The chain with a high pass at 5 Hz that takes a constant offset away before a gain can raise it: after an equaliser that
    comes first (both are linear), else in front."""
    place = 1 if chain.slots and chain.slots[0].effect.name == ParametricEq.name else 0
    high_pass = Slot(offset_filter())
    entry = {"effect": ParametricEq.name, "settings": {"offset_cutoff_hz": OFFSET_CUTOFF_HZ}}
    entries = chain.complete(settings)
    with_it = EffectChain((*chain.slots[:place], high_pass, *chain.slots[place:]))
    return with_it, with_it.complete([*entries[:place], entry, *entries[place:]])
