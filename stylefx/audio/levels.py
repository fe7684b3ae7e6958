"""The level at which a corpus holds its audio and a model hears it: one convention, stated by corpus, checkpoint and settings.

A peak ties every threshold to one transient, a loudness does not; which of them it is decides what a threshold means.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from stylefx.audio.loudness import has_loudness, integrated_lufs, peak_dbfs
from stylefx.errors import UserError

PEAK, LUFS, NONE = "peak_dbfs", "lufs", "none"


@dataclass(frozen=True)
class LevelConvention:
    """``kind`` "peak_dbfs" or "lufs" with ``value`` in dB, or "none": audio stays as loud as it is."""

    kind: str = PEAK
    value: float = -12.0

    @classmethod
    def of(cls, data: Mapping[str, Any] | str | None) -> LevelConvention:
        """``{"peak_dbfs": -12}``, ``{"lufs": -23}``, "none"; None is what models and corpora meant before they said it."""
        if data is None:
            return DEFAULT_LEVEL
        if data == NONE:
            return cls(NONE, 0.0)
        found = [(kind, data[kind]) for kind in (PEAK, LUFS) if isinstance(data, Mapping) and data.get(kind) is not None]
        if len(found) != 1 or not isinstance(found[0][1], (int, float)):
            raise UserError(f"{data!r} is no level; give {{peak_dbfs: -12}}, {{lufs: -23}} or none")
        return cls(found[0][0], float(found[0][1]))

    def to_data(self) -> dict[str, float] | str:
        return NONE if self.kind == NONE else {self.kind: self.value}

    def __str__(self) -> str:
        return {PEAK: f"peak at {self.value:g} dBFS", LUFS: f"{self.value:g} LUFS", NONE: "as it is"}[self.kind]

    def gain_db(self, audio: np.ndarray, sample_rate: float) -> float:
        """The gain that brings the loudest channel of (channels, samples) to the level, as a compressor's side chain hears it.

        0 where there is no level to measure: silence, and the loudness of less than 0.4 s.
        """
        if self.kind == NONE or audio.shape[1] == 0:
            return 0.0
        if self.kind == PEAK:
            level = peak_dbfs(audio)
        elif has_loudness(audio.shape[1], sample_rate):
            level = max(integrated_lufs(np.ascontiguousarray(channel[None]), sample_rate) for channel in audio)
        else:
            level = -math.inf
        return self.value - level if math.isfinite(level) else 0.0


#: what every corpus and model has that does not state another
DEFAULT_LEVEL = LevelConvention()
