"""(manifest, planned sample) -> recipe: everything random about a sample, drawn once, keyed, and written down."""

from __future__ import annotations

from pipelines.manifest import Manifest
from pipelines.plan import PlannedSample


def draw_recipe(manifest: Manifest, sample: PlannedSample) -> dict:
    """{"augmentation": {"pitch_cents", "tempo", "engine", "extra": [{"name", "parameters", "seed"}]},
    "clean": [steps], "input": [steps], "target": [steps], "label": str, "equivalent": bool}.

    Pure: a function of the manifest's seed and chains and of the sample's key, split and plan draws.
    """
    raise NotImplementedError


def equivalent_settings(recipe: dict) -> list[dict] | None:
    """Settings of an EffectChain that map the stored input to the stored target.

    ``recipe`` holds the steps as rendered, every normalise and scale step with its "gain_db". None when the input branch
    has effects, or the target's effects are not settings of a level-shifted compressor after linear ones.
    """
    raise NotImplementedError
