"""What the storage format hides: MR-STFT between the float render and what is stored, beside the input's distance.

Measured on the beginning of one half of a keyed share of the samples, and of at least one in every shard: a mean of a split
needs no more, and a build hardly notices it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipelines.manifest.model import Manifest
from pipelines.plan.samples import PlannedSample
from pipelines.render.encode import extension
from pipelines.render.sample import RenderedSample
from stylefx.audio.distance import mr_stft
from stylefx.audio.writing import decode_audio
from stylefx.keyed import unit

_SHARE = 1 / 64
_FRAMES = 1 << 16
_DIGITS = 6


def chosen(samples: Sequence[PlannedSample]) -> set[str]:
    """Keys of the samples of a shard that are measured."""
    by_key = {s.key: unit("format floor", s.key) for s in samples}
    first = min(by_key, key=by_key.__getitem__, default="")
    return {key for key, value in by_key.items() if value < _SHARE or key == first}


class FloorMeter:
    """Means over a shard's measured samples."""

    def __init__(self, manifest: Manifest, samples: Sequence[PlannedSample]):
        self._manifest, self._chosen = manifest, chosen(samples)
        self._floors: list[float] = []
        self._distances: list[float] = []

    def add(self, rendered: RenderedSample) -> None:
        """Measure a rendered sample if it is one of the chosen: its target, or the dry half where only that is stored."""
        if rendered.key not in self._chosen:
            return
        frames, branches = min(self._manifest.segment.half_frames, _FRAMES), rendered.branches
        branch = "target" if "target" in branches else "dry"
        half = branches[branch][:, :frames]
        stored, _ = decode_audio(rendered.members[f"a.{branch}.{extension(self._manifest.audio_format)}"])
        self._floors.append(mr_stft(stored[:, :frames], half))
        if "input" in branches:
            self._distances.append(mr_stft(branches["input"][:, :frames], half))

    def to_dict(self) -> dict[str, float | int | None]:
        """{"samples", "floor", "distance"}, rounded so that machines agree; empty where nothing was measured."""
        if not self._floors:
            return {}
        return {"samples": len(self._floors), "floor": _mean(self._floors), "distance": _mean(self._distances)}


def _mean(values: list[float]) -> float | None:
    return float(f"{np.mean(values):.{_DIGITS}g}") if values else None
