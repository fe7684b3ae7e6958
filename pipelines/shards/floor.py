"""What the storage format hides: MR-STFT between the float render and what is stored, beside the input's distance.

Measured on the beginning of one half of a keyed share of the samples, and of the first that is rendered in each split's first
shard, so that small corpora have a figure too: a mean of a split needs no more, and a build does not notice it.
"""

from __future__ import annotations

import numpy as np

from pipelines.manifest.model import Manifest
from pipelines.render.encode import extension
from pipelines.render.sample import RenderedSample
from stylefx.audio.distance import mr_stfts
from stylefx.audio.writing import decode_audio
from stylefx.keyed import unit

_SHARE = 1 / 64
_FRAMES = 1 << 16
_DIGITS = 6


def is_chosen(key: str) -> bool:
    """Whether a sample belongs to the share that is measured, in whatever shard it is."""
    return unit("format floor", key) < _SHARE


class FloorMeter:
    """Means over a shard's measured samples. ``at_least_one``: the first sample that comes is measured in any case."""

    def __init__(self, manifest: Manifest, at_least_one: bool):
        self._manifest, self._at_least_one = manifest, at_least_one
        self._floors: list[float] = []
        self._distances: list[float] = []

    def add(self, rendered: RenderedSample) -> None:
        """Measure a rendered sample if it is one of the chosen: its target, or the dry half where only that is stored."""
        if not is_chosen(rendered.key) and (self._floors or not self._at_least_one):
            return
        frames, branches = min(self._manifest.segment.half_frames, _FRAMES), rendered.branches
        branch = "target" if "target" in branches else "dry"
        stored, _ = decode_audio(rendered.members[f"a.{branch}.{extension(self._manifest.audio_format)}"])
        compared = [stored, *([branches["input"]] if "input" in branches else [])]
        floor, *distance = mr_stfts([audio[:, :frames] for audio in compared], branches[branch][:, :frames])
        self._floors.append(floor)
        self._distances += distance

    def to_dict(self) -> dict[str, float | int | None]:
        """{"samples", "floor", "distance"}, rounded so that machines agree; empty where nothing was measured."""
        if not self._floors:
            return {}
        return {"samples": len(self._floors), "floor": _mean(self._floors), "distance": _mean(self._distances)}


def _mean(values: list[float]) -> float | None:
    return float(f"{np.mean(values):.{_DIGITS}g}") if values else None
