"""How much of each stage of a style: by the name of an effect, or of what it works on (tone, dynamics)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from stylefx.effects.chain import EffectChain
from stylefx.errors import UserError
from stylefx.inference.choices import MAX_INTENSITY
from stylefx.inference.hearing.levels import scale_intensity
from stylefx.inference.settings_file import StyleSettings
from stylefx.nearest import did_you_mean

_EQUALISERS = frozenset({"parametric_eq", "graphic_eq"})
_COMPRESSORS = frozenset({"compressor", "multiband_compressor"})
DYNAMICS = _COMPRESSORS | {"expander", "gate", "limiter"}
STAGES = {"equaliser": _EQUALISERS, "tone": _EQUALISERS | {"saturation"}, "compressor": _COMPRESSORS, "dynamics": DYNAMICS}

Amounts = Sequence[tuple[str, float]]


def parse_amounts(text: str) -> tuple[tuple[str, float], ...]:
    """``equaliser=0.5,compressor=1`` -> (("equaliser", 0.5), ("compressor", 1.0))."""
    out = []
    for part in filter(None, text.split(",")):
        name, _, value = (piece.strip() for piece in part.partition("="))
        try:
            out.append((name, float(value)))
        except ValueError:
            raise UserError(f"--amount has {part!r}; give STAGE=NUMBER, such as equaliser=0.5,compressor=1") from None
    return tuple(out)


def stage_amounts(chain: EffectChain, amounts: Amounts) -> list[float]:
    """The amount of each effect of the chain, 1 where none is given; of several that name an effect the last holds."""
    known = {effect.name for effect in chain.effects}
    known |= {stage for stage, members in STAGES.items() if members & known}
    out = [1.0] * len(chain.slots)
    for name, amount in amounts:
        if name not in known:
            near = did_you_mean(name, known, f"it has {', '.join(sorted(known))}")
            raise UserError(f"the style has no stage {name!r}{near}")
        if not 0.0 <= amount <= MAX_INTENSITY:
            raise UserError(f"the amount of {name} is {amount:g}; give a number in 0..{MAX_INTENSITY}")
        members = STAGES.get(name, frozenset({name}))
        out = [amount if e.name in members else old for e, old in zip(chain.effects, out, strict=True)]
    return out


def apply_amounts(chain: EffectChain, settings: Sequence[dict[str, Any]], amounts: Amounts) -> list[dict[str, Any]]:
    """Each effect at its amount; one of amount 0 is bypassed."""
    out = []
    for i, amount in enumerate(stage_amounts(chain, amounts)):
        scaled = scale_intensity(chain, settings, amount)[i]
        out.append({**scaled, "bypass": True} if amount == 0.0 else scaled)
    return out


def with_amounts(style: StyleSettings, amounts: Amounts) -> StyleSettings:
    """A style with other amounts: from the full settings that its file keeps, or from those that it has."""
    full = style.about.get("full_settings", [])
    entries = [{**entry, **full[i]} if i < len(full) else entry for i, entry in enumerate(style.settings)]
    scaled = apply_amounts(style.chain, entries, amounts)
    return replace(style, settings=scaled, about={**style.about, "amounts": dict(amounts)})
