"""Recipe -> sample: decode, stretch, effects, level, halves. Rendering draws nothing; everything random is in the recipe."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from pipelines.manifest import Manifest
from pipelines.plan import PlannedSample
from pipelines.recipe import draw_recipe, equivalent_settings
from pipelines.render_augment import augment
from pipelines.render_decode import Decoder
from pipelines.render_encode import encode, extension
from pipelines.render_steps import Filtered, apply_steps, protect
from stylefx.audio.loudness import integrated_lufs, peak_dbfs
from stylefx.audio.quantise import check_subtype
from stylefx.corpus.schema import FORMAT_VERSION, HALVES

__all__ = ["Clock", "Filtered", "RenderedSample", "render_sample"]

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
    document: dict
    metrics: dict[str, float | None]
    branches: dict[str, np.ndarray] = field(repr=False)


def render_sample(
    manifest: Manifest,
    sample: PlannedSample,
    recipe: dict | None = None,
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
    with clock.stage("read"):
        clip = decoder.clip(sample)
        if not np.isfinite(clip).all():
            raise ArithmeticError("the recording contains NaN or infinite samples")
    with clock.stage("level"):
        clip, clean = apply_steps(clip, recipe["clean"], rate)
    with clock.stage("augment"):
        dry = augment(clip, recipe["augmentation"], rate, manifest.segment_frames)
    bits = check_subtype(manifest.audio_format)
    branches: dict[str, np.ndarray] = {}
    steps: dict[str, list[dict]] = {}
    with clock.stage("effects"):
        for branch in _BRANCHES[manifest.store]:
            audio, done = (dry, []) if branch == "dry" else apply_steps(dry, recipe[branch], rate)
            branches[branch], steps[branch] = protect(audio, done, bits)
    with clock.stage("loudness"):
        metrics = _measure(branches, rate)
    rendered = {**recipe, **steps, "clean": clean}
    document = _document(manifest, sample, rendered, steps, metrics)
    with clock.stage("encode"):
        members = dict(_encoded(branches, segment.half_frames, rate, manifest.audio_format))
    return RenderedSample(sample.key, members, document, metrics, branches)


def _measure(branches: dict[str, np.ndarray], rate: int) -> dict[str, float | None]:
    """Integrated loudness and sample peak of each branch; None stands for silence."""
    out: dict[str, float | None] = {}
    for name, audio in branches.items():
        loudness = integrated_lufs(audio, rate) if audio.shape[1] >= 0.4 * rate else -math.inf
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


def _document(manifest: Manifest, sample: PlannedSample, recipe: dict, steps: dict, metrics: dict) -> dict:
    """The sample's JSON: identity, origin, recipe as rendered, metrics."""
    parts = [
        {
            "recording": part.recording,
            "start_frame": part.start_frame,
            "num_frames": part.num_frames,
            "sample_rate": part.sample_rate,
        }
        for part in sample.parts
    ]
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
        "parts": parts,
        "read_frames": sample.read_frames,
        "augmentation": recipe["augmentation"],
        "clean": recipe["clean"],
        **steps,
        "metrics": metrics,
    }
    if recipe.get("equivalent") and "target" in steps:
        settings = equivalent_settings(recipe)
        if settings is not None:
            document["equivalent"] = settings
    return document
