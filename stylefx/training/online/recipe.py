"""What a run draws when it renders its own examples: the corpora's chains, or those that ``data.online`` names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from stylefx.recipes.chains import Chains
from stylefx.recipes.corpora import chains_of, drawing_of
from stylefx.recipes.draw import Drawing
from stylefx.recipes.presets import resolve_chains
from stylefx.training.config import OnlineConfig


def online_recipe(online: OnlineConfig, seed: int, manifest: Mapping[str, Any]) -> tuple[Chains, Drawing]:
    """The chains and the draws for one corpus. ``manifest`` is the one it was built by; its seed gives way to the run's."""
    drawing = replace(drawing_of(manifest), seed=seed)
    if online.level is not None:
        drawing = replace(drawing, level=online.level)
    if online.nothing_to_do is not None:
        drawing = replace(drawing, nothing_to_do=online.nothing_to_do)
    if online.preset is None and online.chains is None:
        return chains_of(manifest), drawing
    return resolve_chains(online.preset or manifest["preset"], online.chains, (), drawing.sample_rate), drawing
