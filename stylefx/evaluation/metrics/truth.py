"""What is known about the settings behind a sample, read from its metadata.

A target is made from the clean clip, with level normalisations between the effects. Where the input branch is dry the corpus
stores equivalent settings (preset ``recovery``); elsewhere only the equalisers' difference in dB, up to a constant, is true.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from stylefx.effects.chain import EffectChain
from stylefx.effects.curves import LINEAR_EFFECTS, response_db

if TYPE_CHECKING:
    import numpy as np

DYNAMICS = ("compressor", "expander")


def branch_settings(steps: Sequence[Mapping[str, Any]], chain: EffectChain, gain_db: float = 0.0) -> list[dict[str, Any]] | None:
    """Settings of ``chain`` that do what the steps did, gains folded in; None when the chain cannot.

    ``gain_db`` is what the input lacks of the level that the steps began with. Moving a gain G from before a compressor to
    the end leaves the sound when threshold' = threshold - G; all gains end up in the make-up of the last dynamics effect.
    Effects that the steps left out are neutral.
    """
    settings: list[dict[str, Any]]
    settings = [{"effect": e.name, "settings": {p.name: p.default for p in e.parameters}} for e in chain.effects]
    slot = 0
    for step in steps:
        if step["step"] != "effect":
            gain_db += float(step.get("gain_db", 0.0))
            continue
        names = [entry["effect"] for entry in settings[slot:]]
        if step["effect"] not in names or step["effect"] not in (*LINEAR_EFFECTS, *DYNAMICS) or step.get("mix", 1.0) != 1.0:
            return None
        slot += names.index(step["effect"])
        values = settings[slot]["settings"]
        unknown = set(step["settings"]) - set(values)
        if unknown:
            return None
        if not step.get("bypass", False):
            values.update(step["settings"])
            if "threshold_db" in values:
                values["threshold_db"] -= gain_db
        slot += 1
    last = [entry for entry in settings if entry["effect"] in DYNAMICS]
    if not last:
        return settings if abs(gain_db) < 1e-9 else None
    last[-1]["settings"]["makeup_gain_db"] += gain_db
    return settings


def known_settings(metadata: Mapping[str, Any], chain: EffectChain) -> list[dict[str, Any]] | None:
    """The stored equivalent settings when they fit the chain, else None."""
    equivalent = metadata.get("equivalent")
    if not equivalent or [e["effect"] for e in equivalent] != [e.name for e in chain.effects]:
        return None
    return [{"effect": e["effect"], "settings": dict(e["settings"])} for e in equivalent]


def drawn_settings(metadata: Mapping[str, Any], chain: EffectChain) -> list[dict[str, Any]] | None:
    """The equivalent settings, else those drawn for the target branch: near the truth when the input branch did little."""
    source = metadata.get("input", [])
    untouched = all(step["step"] != "effect" for step in source)
    raised_db = sum(float(step.get("gain_db", 0.0)) for step in source) if untouched else 0.0
    return known_settings(metadata, chain) or branch_settings(metadata.get("target", []), chain, -raised_db)


def true_eq_db(metadata: Mapping[str, Any], sample_rate: float, frequency_hz: np.ndarray) -> np.ndarray:
    """What equalisation leads from input to target: the target branch's response minus the input branch's, dB."""
    target, source = (
        response_db([s for s in metadata.get(branch, []) if s["step"] == "effect"], sample_rate, frequency_hz)
        for branch in ("target", "input")
    )
    return target - source
