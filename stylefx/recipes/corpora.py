"""The chains and the draws of a finished corpus, from the manifest that its corpus.json states."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from stylefx.audio.levels import LevelConvention
from stylefx.recipes.chains import Chains, Level, NothingToDo
from stylefx.recipes.draw import Drawing
from stylefx.recipes.presets import resolve_chains


def chains_of(manifest: Mapping[str, Any]) -> Chains:
    """The preset with the manifest's own chains over it; UserError where its preset is a file that is not here."""
    own = manifest.get("chains")
    rate = manifest["segment"]["sample_rate"]
    return resolve_chains(manifest["preset"], None if own is None else Chains.model_validate(own), (), rate)


def drawing_of(manifest: Mapping[str, Any]) -> Drawing:
    """What all draws of the corpus share."""
    nothing = NothingToDo.model_validate(manifest.get("nothing_to_do", {}))
    meter = manifest.get("meter", "bs1770")
    return Drawing(manifest["seed"], manifest["segment"]["sample_rate"], level_of(manifest), nothing, meter)


def convention_of(chains: Chains, drawing: Drawing) -> LevelConvention:
    """The level at which the pairs end: of the chain's last ``normalise``, which may leave it to the manifest."""
    steps = drawing.steps("", "finish", chains.finish or ())
    levels = [step for step in steps if step["step"] == "normalise"]
    return LevelConvention.of(levels[-1] if levels else "none")


def level_of(manifest: Mapping[str, Any]) -> Level | Literal["none"]:
    """The level convention, or "none"."""
    level = manifest["level"]
    return "none" if level == "none" else Level.model_validate(level)
