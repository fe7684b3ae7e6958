"""The references of a sample, KEY.r0, KEY.r1, ...: other content through the sample's target branch, or its own other half.

A reference of other content passes everything on its own: its recording's augmentation, levels measured on the half alone,
fades at its own ends. Nothing of the sample's level reaches it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipelines.manifest.model import Manifest
from pipelines.plan.samples import PlannedSample
from pipelines.render.augment import augment
from pipelines.render.decode import Decoder
from pipelines.render.recipe import draw_augmentation
from pipelines.render.stretched import stretched_key
from stylefx.audio.quantise import check_subtype
from stylefx.recipes.steps import Filtered, apply_steps, protect

#: which half a reference of the same recording is
OWN_HALF = "b"


@dataclass(frozen=True)
class RenderedReference:
    """``branches``: {"target": float32 (channels, half_frames), "dry": ...}, as far as they are stored; ``entry`` goes into
    the sample's JSON."""

    branches: dict[str, np.ndarray]
    entry: dict[str, Any]


def render_references(
    manifest: Manifest,
    sample: PlannedSample,
    recipe: Mapping[str, Any],
    own: Mapping[str, np.ndarray],
    decoder: Decoder,
) -> list[RenderedReference]:
    """As many as the manifest says. ``own``: the sample's branches, both halves each. Raises Filtered as samples do."""
    kept = [branch for branch in ("target", "dry") if branch in own]
    if not sample.references:
        frames = manifest.segment.half_frames
        mine = {branch: own[branch][:, frames:] for branch in kept}
        done = recipe["target"] if "target" in kept else []
        entry = _entry(sample, OWN_HALF, recipe["augmentation"], recipe["clean"], done, recipe.get("dry", []))
        return [RenderedReference(mine, entry)] * manifest.reference.stored
    return [_other(manifest, r.sample, r.half, recipe["drawn target"], kept, decoder) for r in sample.references]


def _other(
    manifest: Manifest, lender: PlannedSample, half: str, steps: list[dict[str, Any]], kept: list[str], decoder: Decoder
) -> RenderedReference:
    rate, frames = manifest.segment.sample_rate, manifest.segment.half_frames
    bits = check_subtype(manifest.audio_format)
    augmentation = draw_augmentation(manifest, lender)
    try:
        drawn = manifest.drawing.steps(lender.key, "clean", _clean(manifest))
        key = stretched_key(manifest, lender, drawn, augmentation)
        both, clean = decoder.recent.find(key) or (None, [])
        if both is None:
            clip, clean = apply_steps(decoder.clip(lender), drawn, rate)
            both = augment(clip, augmentation, rate, manifest.segment_frames)
            decoder.recent.keep(key, (both, clean))
        audio = both[:, :frames] if half == "a" else both[:, frames:]
        levels = [{k: v for k, v in step.items() if k != "gain_db"} for step in clean if step["step"] == "normalise"]
        audio, levelled = apply_steps(np.ascontiguousarray(audio), levels, rate)
        branches: dict[str, np.ndarray] = {}
        done: list[dict[str, Any]] = []
        scaled: list[dict[str, Any]] = []
        if "target" in kept:
            target, done = apply_steps(audio, steps, rate)
            branches["target"], done = protect(target, done, bits)
        if "dry" in kept:
            branches["dry"], scaled = protect(audio, [], bits)
    except Filtered as reason:
        raise Filtered(f"its reference is {reason}") from None
    return RenderedReference(branches, _entry(lender, half, augmentation, [*clean, *levelled], done, scaled))


def _clean(manifest: Manifest) -> tuple[Any, ...]:
    return manifest.resolved_chains.clean or ()


def _entry(
    sample: PlannedSample,
    half: str,
    augmentation: dict[str, Any],
    clean: list[dict[str, Any]],
    steps: list[dict[str, Any]],
    dry: list[dict[str, Any]],
) -> dict[str, Any]:
    """Where a reference comes from and what was done to it: enough to render it again and to credit it."""
    return {
        "key": sample.key,
        "half": half,
        **{name: getattr(sample, name) for name in ("source", "group", "label", "licence", "attribution")},
        "parts": parts_of(sample),
        "read_frames": sample.read_frames,
        "augmentation": augmentation,
        "clean": clean,
        "steps": steps,
        "dry": dry,
    }


def parts_of(sample: PlannedSample) -> list[dict[str, Any]]:
    """The stretches of recordings that a sample is made of, as its JSON states them."""
    names = ("recording", "start_frame", "num_frames", "sample_rate")
    return [{name: getattr(part, name) for name in (*names, *(["target"] if part.target else []))} for part in sample.parts]
