"""Recipe -> sample: decode, stretch, effects, level, halves. Rendering draws nothing; everything random is in the recipe."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pipelines.manifest.model import Manifest
from pipelines.plan.samples import PlannedSample
from pipelines.render.augment import augment
from pipelines.render.decode import Decoder
from pipelines.render.encode import encode, extension
from pipelines.render.recipe import draw_recipe
from pipelines.render.references import OWN_HALF, RenderedReference, parts_of, render_references
from pipelines.render.stretched import stretched_key
from stylefx.audio.loudness import has_loudness, integrated_lufs_together, peak_dbfs
from stylefx.audio.quantise import check_subtype
from stylefx.corpus.schema import FORMAT_VERSION, HALVES
from stylefx.recipes.equivalent import equivalent_settings
from stylefx.recipes.steps import apply_together, apply_two, protect

#: what is drawn of the manifest's chains, and means nothing to a pair that people made
_DRAWN = ("input", "target", "equivalent", "nothing_to_do")

_BRANCHES = {"pair": ("input", "target"), "dry": ("dry",), "both": ("input", "target", "dry")}


class Clock:
    """Seconds per stage, summed."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start


@dataclass(frozen=True)
class RenderedSample:
    """``members``: {"a.input.flac": bytes, ...} in the order in which they are stored; ``document`` becomes KEY.json.

    ``branches``: {"input": float32 (channels, 2 x half_frames), ...} before quantisation.
    """

    key: str
    members: dict[str, bytes]
    document: dict[str, Any]
    metrics: dict[str, float | None]
    branches: dict[str, np.ndarray] = field(repr=False)


def render_sample(
    manifest: Manifest,
    sample: PlannedSample,
    recipe: dict[str, Any] | None = None,
    decoder: Decoder | None = None,
    clock: Clock | None = None,
) -> RenderedSample:
    """Render one planned sample. Raises Filtered(reason), or UserError for what is wrong with its recordings."""
    clock = clock or Clock()
    segment = manifest.segment
    rate = segment.sample_rate
    decoder = decoder or Decoder(rate, segment.channels)
    with clock.stage("recipe"):
        recipe = recipe or draw_recipe(manifest, sample)
        if sample.is_pair:  # what people did is no recipe of ours
            recipe = {k: v for k, v in recipe.items() if k not in _DRAWN} | {"input": [], "target": []}
    dry, made, clean = _dry(manifest, sample, recipe, decoder, clock)
    bits = check_subtype(manifest.audio_format)
    branches: dict[str, np.ndarray] = {}
    steps: dict[str, list[dict[str, Any]]] = {}
    with clock.stage("effects"):
        ready: dict[str, tuple[np.ndarray, list[dict[str, Any]]]] = {"dry": (dry, [])}
        if manifest.store != "dry":
            before = dry, made[0] if made else dry
            ready["input"], ready["target"] = apply_two(before, (recipe["input"], recipe["target"]), rate)
        for branch in _BRANCHES[manifest.store]:
            branches[branch], steps[branch] = protect(*ready[branch], bits)
    rendered = {**recipe, **steps, "clean": clean}
    references = _references(manifest, sample, rendered | {"drawn target": recipe["target"]}, branches, decoder, clock)
    with clock.stage("loudness"):
        metrics = _measure(branches, rate, manifest.meter)
        heard = {name: r.branches["target"] for name, r in references.items() if "target" in r.branches}
        metrics |= _measure(heard, rate, manifest.meter)
    document = _document(manifest, sample, rendered, steps, metrics)
    if references:
        document["references"] = [reference.entry for reference in references.values()]
    with clock.stage("encode"):
        members = dict(_encoded(branches, segment.half_frames, rate, manifest.audio_format))
        members |= _encoded_references(sample.key, references, members, rate, manifest.audio_format)
    return RenderedSample(sample.key, members, document, metrics, branches)


def _dry(
    manifest: Manifest, sample: PlannedSample, recipe: dict[str, Any], decoder: Decoder, clock: Clock
) -> tuple[np.ndarray, list[np.ndarray], list[dict[str, Any]]]:
    """What effects are given, both halves, what people made of it (of a real pair only), and what was done to both; samples of
    one stretch share it."""
    rate = manifest.segment.sample_rate
    key = stretched_key(manifest, sample, recipe["clean"], recipe["augmentation"])
    if not sample.is_pair and (found := decoder.recent.find(key)):
        return found[0], [], found[1]
    with clock.stage("read"):
        clips = [decoder.clip(sample), *([decoder.pair(sample)] if sample.is_pair else [])]
        if not all(np.isfinite(clip).all() for clip in clips):
            raise ArithmeticError("the recording contains NaN or infinite samples")
    with clock.stage("level"):
        clips, clean = apply_together(clips, recipe["clean"], rate)
    with clock.stage("augment"):
        dry, *made = [augment(clip, recipe["augmentation"], rate, manifest.segment_frames) for clip in clips]
    if not sample.is_pair:
        decoder.recent.keep(key, (dry, clean))
    return dry, made, clean


def _references(
    manifest: Manifest,
    sample: PlannedSample,
    recipe: dict[str, Any],
    branches: dict[str, np.ndarray],
    decoder: Decoder,
    clock: Clock,
) -> dict[str, RenderedReference]:
    """{"r0": ..., "r1": ...}; empty where references are the samples' own other halves."""
    if not manifest.reference.stored:
        return {}
    with clock.stage("references"):
        return {f"r{i}": r for i, r in enumerate(render_references(manifest, sample, recipe, branches, decoder))}


def _encoded_references(
    key: str, references: dict[str, RenderedReference], members: dict[str, bytes], rate: int, audio_format: str
) -> dict[str, bytes]:
    """{"r0.target.flac": bytes, ...}; the sample's own half is not encoded twice."""
    out: dict[str, bytes] = {}
    for name, reference in references.items():
        for branch, audio in reference.branches.items():
            member = f"{branch}.{extension(audio_format)}"
            mine = reference.entry["key"] == key
            out[f"{name}.{member}"] = members[f"{OWN_HALF}.{member}"] if mine else encode(audio, rate, audio_format)
    return out


def _measure(branches: dict[str, np.ndarray], rate: int, meter: str) -> dict[str, float | None]:
    """Integrated loudness and sample peak of each branch; None stands for silence, and for the loudness of less than 0.4 s."""
    out: dict[str, float | None] = {}
    measured = {name: audio for name, audio in branches.items() if has_loudness(audio.shape[1], rate)}
    found = dict(zip(measured, integrated_lufs_together(list(measured.values()), rate, meter)))
    for name, audio in branches.items():
        loudness = found.get(name, -math.inf)
        out[f"{name}_lufs"] = loudness if math.isfinite(loudness) else None
        peak = peak_dbfs(audio)
        out[f"{name}_peak_dbfs"] = peak if math.isfinite(peak) else None
    return out


def _encoded(branches: dict[str, np.ndarray], half_frames: int, rate: int, audio_format: str) -> Iterator[tuple[str, bytes]]:
    """("a.input.flac", bytes), ... : both halves of each branch."""
    for branch, audio in branches.items():
        for number, half in enumerate(HALVES):
            piece = audio[:, number * half_frames : (number + 1) * half_frames]
            yield f"{half}.{branch}.{extension(audio_format)}", encode(piece, rate, audio_format)


def _document(
    manifest: Manifest, sample: PlannedSample, recipe: dict[str, Any], steps: dict[str, Any], metrics: dict[str, Any]
) -> dict[str, Any]:
    """The sample's JSON: identity, origin, recipe as rendered, metrics."""
    segment = manifest.segment
    document = {
        "format": FORMAT_VERSION,
        "key": sample.key,
        "split": sample.split,
        "source": sample.source,
        "group": sample.group,
        "label": recipe.get("label", sample.label),
        "licence": sample.licence,
        "attribution": sample.attribution,
        "generation": sample.generation,
        "sample_rate": segment.sample_rate,
        "channels": segment.channels,
        "half_frames": segment.half_frames,
        "parts": parts_of(sample),
        "read_frames": sample.read_frames,
        "augmentation": recipe["augmentation"],
        "clean": recipe["clean"],
        **steps,
        "metrics": metrics,
    }
    if sample.metadata:
        document["metadata"] = dict(sample.metadata)
    if sample.is_pair:
        document["made_by"] = "people"
    if "nothing_to_do" in recipe:
        document["nothing_to_do"] = recipe["nothing_to_do"]
    if recipe.get("equivalent") and "target" in steps:
        settings = equivalent_settings(recipe)
        if settings is not None:
            document["equivalent"] = settings
    return document
