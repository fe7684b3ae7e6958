"""(manifest, planned sample) -> recipe: what the plan drew, and what ``stylefx.recipes`` draws of the manifest's chains."""

from __future__ import annotations

from typing import Any

from pipelines.manifest.model import Manifest
from pipelines.plan.samples import PlannedSample
from stylefx.keyed import Draw, integer


def draw_recipe(manifest: Manifest, sample: PlannedSample) -> dict[str, Any]:
    """{"augmentation": {"pitch_cents", "tempo", "engine", "extra": [{"name", "parameters", "seed"}]}, ...}, then what
    ``Drawing.recipe`` gives.

    Pure: a function of the manifest's seed and chains and of the sample's key, split and plan draws.
    """
    return {
        "augmentation": draw_augmentation(manifest, sample),
        **manifest.drawing.recipe(manifest.resolved_chains, sample.key, sample.label),
    }


def draw_augmentation(manifest: Manifest, sample: PlannedSample) -> dict[str, Any]:
    """What is done to a sample's clip before any effect."""
    return {
        "pitch_cents": sample.pitch_cents,
        "tempo": sample.tempo,
        "engine": manifest.augment.engine,
        "extra": _extra(manifest, sample),
    }


def _extra(manifest: Manifest, sample: PlannedSample) -> list[dict[str, Any]]:
    """Further augmentations: names, drawn parameters and a seed of their own."""
    out: list[dict[str, Any]] = []
    if sample.split not in manifest.augment.splits:
        return out
    for i, entry in enumerate(manifest.augment.extra):
        purpose = f"augment {i} {entry.name}"
        if not Draw(manifest.seed, f"{purpose} applied", sample.key).chance(entry.probability):
            continue
        parameters: dict[str, Any] = {}
        for name, value in entry.parameters.items():
            drawn = value if isinstance(value, (str, bool)) else value.draw(Draw(manifest.seed, f"{purpose} {name}", sample.key))
            if drawn is not None:
                parameters[name] = drawn
        seed = integer(manifest.seed, f"{purpose} seed", sample.key) >> 32
        out.append({"name": entry.name, "parameters": parameters, "seed": seed})
    return out
