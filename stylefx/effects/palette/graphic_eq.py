"""Graphic equaliser: peaks at fixed centres whose interaction is solved for."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np

from stylefx.effects.base import Effect, Settings
from stylefx.effects.kernels.biquad import CLAMP, design, response
from stylefx.effects.kernels.cascade import CascadeProcess
from stylefx.effects.parameters import Parameter
from stylefx.effects.registry import register
from stylefx.errors import UserError

# Nominal names of IEC 61260; the exact centres are 1000 * 2^(k / bands per octave).
_OCTAVE = (31, 63, 125, 250, 500, 1000, 2000, 4000, 8000, 16000)
_THIRD = (
    *(25, 31, 40, 50, 63, 80, 100, 125, 160, 200, 250, 315, 400, 500, 630, 800, 1000, 1250, 1600, 2000, 2500, 3150),
    *(4000, 5000, 6300, 8000, 10000, 12500, 16000, 20000),
)
LAYOUTS = {"octave": (1, 5, _OCTAVE), "third_octave": (3, 16, _THIRD)}
PROTOTYPE_GAIN_DB = 6.0


@register
class GraphicEq(Effect):
    """Ten octave bands ("octave") or thirty third-octave bands ("third_octave"), ``gain_<centre>hz_db`` -12..12 each.

    A cascade of cookbook peaks with centres f_m = 1000 * 2^(k / b) Hz and bandwidths of a band, 1/Q = 2 sinh(ln 2 / (2 b)).
    Peaks overlap; their gains g are solved from the knobs t in dB: B g = t, where B[k, m] is the response in dB of peak
    m at centre k for a gain of 6 dB, divided by 6 (the interaction matrix of V. Valimaki, J. Liski, "Accurate cascade
    graphic equalizer", IEEE Signal Processing Letters 24(2), 2017). Bands centred above 0.9 Nyquist are left out, and
    reported as 0 dB by ``effective``. float32 (channels, samples), any rate.
    """

    name = "graphic_eq"

    def __init__(self, bands: str = "octave"):
        if bands not in LAYOUTS:
            raise UserError(f"graphic_eq: there are no bands {bands!r}; known are {', '.join(LAYOUTS)}")
        self._bands = bands
        self._per_octave, below, names = LAYOUTS[bands]
        self.centres_hz = tuple(1000.0 * 2.0 ** ((i - below) / self._per_octave) for i in range(len(names)))
        self.q = 1.0 / (2.0 * math.sinh(math.log(2.0) / (2.0 * self._per_octave)))
        self.parameters = tuple(Parameter(f"gain_{n}hz_db", "dB", -12.0, 12.0, 0.0) for n in names)

    def config(self) -> dict[str, Any]:
        return {"bands": self._bands}

    def num_active(self, sample_rate: float) -> int:
        """How many bands, from the lowest, are rendered at this rate."""
        return sum(f <= CLAMP * 0.5 * sample_rate for f in self.centres_hz)

    def solution(self, sample_rate: float) -> np.ndarray:
        """Inverse of the interaction matrix, float64 (active bands, active bands): peak gains = solution @ knobs, in dB."""
        return _solution(self.centres_hz[: self.num_active(sample_rate)], self.q, float(sample_rate))

    def effective(self, settings: Settings, sample_rate: float) -> dict[str, float]:
        active = self.num_active(sample_rate)
        return {k: v if i < active else 0.0 for i, (k, v) in enumerate(self.complete(settings).items())}

    def sections(self, settings: Settings, sample_rate: float) -> np.ndarray:
        """Second-order sections, float64 (active bands, 6)."""
        active = self.num_active(sample_rate)
        gains_db = self.solution(sample_rate) @ np.array(list(self.complete(settings).values())[:active])
        peaks = [design("peak", f, self.q, sample_rate, g)[0] for f, g in zip(self.centres_hz, gains_db)]
        return np.array(peaks).reshape(-1, 6)

    def start(self, settings: Settings, sample_rate: float, channels: int) -> CascadeProcess:
        return CascadeProcess(self.sections(settings, sample_rate), channels)


@lru_cache(maxsize=16)
def _solution(centres_hz: tuple[float, ...], q: float, sample_rate: float) -> np.ndarray:
    freqs = np.array(centres_hz)
    peaks = [np.abs(response("peak", freqs, f, q, sample_rate, PROTOTYPE_GAIN_DB)) for f in centres_hz]
    interaction = 20.0 * np.log10(np.array(peaks).reshape(len(freqs), len(freqs)).T) / PROTOTYPE_GAIN_DB
    return np.linalg.inv(interaction)
