"""From the level a model heard to the level of the recording, and from full style to less or more of it.

A model is trained on audio whose peak is -12 dBFS. What it predicts holds for the recording raised by some gain G;
for the recording itself every threshold moves by -G, and linear effects stay as they are.
"""

from __future__ import annotations

from collections.abc import Sequence

from stylefx.effects.base import Effect
from stylefx.effects.chain import EffectChain, Slot
from stylefx.effects.registry import make_effect
from stylefx.errors import UserError

MAX_INTENSITY = 1.5

#: effects whose output scales with their input: no setting depends on the level
LINEAR_EFFECTS = frozenset({"parametric_eq", "graphic_eq", "gain", "stereo_width", "pan", "delay", "reverb"})

_MAX_SLOPE = 1 - 1 / 100  # a ratio of 100 is as good as a limiter


def at_recording_level(chain: EffectChain, settings: Sequence[dict], gain_db: float) -> tuple[EffectChain, list[dict]]:
    """Settings for audio raised by ``gain_db`` -> chain and settings that do the same to the audio as it is.

    ``chain'(x) = chain(x raised by gain_db) lowered by gain_db``. Thresholds move by -gain_db; a chain with an effect
    that depends on the level otherwise (saturation) gets a gain before and after instead.
    """
    entries = chain.complete(settings)
    if gain_db == 0.0 or all(e.name in LINEAR_EFFECTS or _level_names(e) for e in chain.effects):
        moved = []
        for effect, entry in zip(chain.effects, entries, strict=True):
            names = [] if effect.name in LINEAR_EFFECTS else _level_names(effect)
            values = {k: v - gain_db if k in names else v for k, v in entry["settings"].items()}
            moved.append({**entry, "settings": values})
        return chain, moved
    around = Slot(make_effect("gain"))
    wrapped = EffectChain((around, *chain.slots, around))
    up, down = ({"effect": "gain", "settings": {"gain_db": g}} for g in (gain_db, -gain_db))
    return wrapped, wrapped.complete([up, *entries, down])


def _level_names(effect: Effect) -> list[str]:
    """The parameters that are levels on the scale of the audio."""
    return [p.name for p in effect.parameters if p.name.endswith(("threshold_db", "ceiling_db"))]


def scale_intensity(chain: EffectChain, settings: Sequence[dict], intensity: float) -> list[dict]:
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
