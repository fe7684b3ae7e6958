"""Settings for audio at one level -> settings that do the same to the audio at another.

A model is trained on audio of one level. What it predicts holds for the recording raised by some gain G; for the recording
itself every threshold moves by -G, and linear effects stay as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stylefx.effects.base import Effect
from stylefx.effects.chain import EffectChain, Slot
from stylefx.effects.registry import make_effect

#: effects whose output scales with their input: no setting depends on the level
LINEAR_EFFECTS = frozenset({"parametric_eq", "graphic_eq", "gain", "stereo_width", "pan", "delay", "reverb"})


def at_recording_level(
    chain: EffectChain, settings: Sequence[dict[str, Any]], gain_db: float
) -> tuple[EffectChain, list[dict[str, Any]]]:
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
