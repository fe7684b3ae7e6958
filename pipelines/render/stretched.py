"""What samples that differ in their effects alone share: the clip, at its level and stretched. The last few are kept."""

from __future__ import annotations

import json
from collections import OrderedDict
from typing import Any

import numpy as np

from pipelines.manifest.model import Manifest
from pipelines.plan.samples import PlannedSample

_KEPT = 4  # samples of a stretch are neighbours; the stretch of a reference comes between

Stretched = tuple[np.ndarray, list[dict[str, Any]]]  # audio before effects, and what was done to it


class Recent:
    """Of one worker. Keeps nothing where a manifest asks for one sample of each stretch."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Stretched] = OrderedDict()

    def find(self, key: str) -> Stretched | None:
        if key in self._kept:
            self._kept.move_to_end(key)
        return self._kept.get(key)

    def keep(self, key: str, stretched: Stretched) -> None:
        if key:
            self._kept[key] = stretched
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)


def stretched_key(manifest: Manifest, sample: PlannedSample, clean: Any, augmentation: Any) -> str:
    """Equal where audio before effects is; empty where it is not to be kept."""
    if manifest.segment.draws_per_tape == 1:
        return ""
    parts = [(p.recording, p.sha256, p.start_frame, p.num_frames) for p in sample.parts]
    return json.dumps([parts, sample.read_frames, clean, augmentation], sort_keys=True)
