"""Parametric equaliser: any list of bands in series, second-order sections (R. Bristow-Johnson's cookbook).

A band is a dict ``{"name": "low", "kind": "high_pass", "range_hz": [20, 400]}``; kinds are peak, low_shelf, high_shelf
(with gain), high_pass, low_pass and notch (without). Units: gain dB, cutoff Hz, q without unit. A shelf's q is that of
its prototype s^2 + (sqrt(A) / q) s + A, 0.707 is the steepest slope without overshoot.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from stylefx.effects.base import Effect, Settings
from stylefx.effects.checks import require_positive
from stylefx.effects.kernels.biquad import GAIN_KINDS, clamp_cutoff, design, response
from stylefx.effects.kernels.cascade import CascadeProcess
from stylefx.effects.parameters import Parameter
from stylefx.effects.registry import register
from stylefx.errors import UserError

BAND_KINDS = ("peak", "low_shelf", "high_shelf", "high_pass", "low_pass", "notch")

_DEEPAFX_ST = (
    ("low_shelf", "low_shelf", 20.0, 200.0),
    ("band1", "peak", 200.0, 2000.0),
    ("band2", "peak", 800.0, 4000.0),
    ("band3", "peak", 2000.0, 8000.0),
    ("band4", "peak", 4000.0, 10800.0),
    ("high_shelf", "high_shelf", 4000.0, 10800.0),
)
_FULL_BAND = (*_DEEPAFX_ST[:4], ("band4", "peak", 4000.0, 16000.0), ("high_shelf", "high_shelf", 4000.0, 20000.0))
RANGES = {"deepafx-st": _DEEPAFX_ST, "full-band": _FULL_BAND}


def _band(index: int, spec: Mapping[str, Any]) -> tuple[str, str, float, float]:
    """One band of a ``bands`` list, checked: name, kind, lowest and highest cutoff in Hz."""
    unknown = set(spec) - {"name", "kind", "range_hz"}
    if unknown or "kind" not in spec:
        raise UserError(f"parametric_eq: band {index} is {dict(spec)}; give kind, and optionally name and range_hz")
    name, kind = str(spec.get("name", f"band{index + 1}")), spec["kind"]
    if kind not in BAND_KINDS:
        raise UserError(f"parametric_eq: band {name!r} has the kind {kind!r}; known are {', '.join(BAND_KINDS)}")
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise UserError(f"parametric_eq: a band is called {name!r}; use small letters, digits and underscores")
    low, high = (float(f) for f in spec.get("range_hz", (20.0, 20000.0)))
    if not 0.0 < low < high or not math.isfinite(high):
        raise UserError(f"parametric_eq: band {name!r} has the range {low:g}..{high:g} Hz; give 0 < lowest < highest")
    return name, kind, low, high


def _parameters(name: str, kind: str, low: float, high: float) -> list[Parameter]:
    # A high or low pass starts where it does least, every other band in the geometric middle.
    start = {"high_pass": low, "low_pass": high}.get(kind, math.sqrt(low * high))
    parameters = [
        Parameter(f"{name}_cutoff_hz", "Hz", low, high, start, "log"),
        Parameter(f"{name}_q", "", 0.1, 10.0, 0.707, "log"),
    ]
    if kind in GAIN_KINDS:
        parameters.insert(0, Parameter(f"{name}_gain_db", "dB", -24.0, 24.0, 0.0))
    return parameters


@register
class ParametricEq(Effect):
    """Bands in series, float32 (channels, samples), any sample rate; each channel alike.

    ``ranges`` names the ranges of the six default bands (low shelf, four peaks, high shelf): "deepafx-st" (cutoffs up to
    10.8 kHz) or "full-band" (up to 20 kHz). ``bands`` replaces them by a list of your own. Per band the parameters
    ``<band>_gain_db`` (-24..24, not for passes and notches), ``<band>_cutoff_hz`` and ``<band>_q`` (0.1..10).
    A band above 0.9 Nyquist does what it does at 48 kHz (``kernels.low_rate``); at 48 kHz and above it is rendered at 0.9
    Nyquist, and ``effective`` says so.
    """

    name = "parametric_eq"

    def __init__(self, ranges: str = "deepafx-st", bands: Sequence[Mapping[str, Any]] | None = None):
        if ranges not in RANGES:
            raise UserError(f"parametric_eq: there are no ranges {ranges!r}; known are {', '.join(RANGES)}")
        self._ranges = ranges
        self._custom = None if bands is None else [dict(b) for b in bands]
        self.bands = RANGES[ranges] if bands is None else tuple(_band(i, b) for i, b in enumerate(bands))
        names = [band[0] for band in self.bands]
        if len(set(names)) != len(names) or not names:
            raise UserError(f"parametric_eq: the bands are called {names}; give at least one band, and each its own name")
        self.parameters = tuple(p for band in self.bands for p in _parameters(*band))

    def config(self) -> dict[str, Any]:
        if self._custom is None:
            return {"ranges": self._ranges}
        return {"bands": [{"name": n, "kind": k, "range_hz": [low, high]} for n, k, low, high in self.bands]}

    def validate(self, settings: Settings) -> None:
        require_positive(self.name, settings, *(n for n in settings if n.endswith(("_cutoff_hz", "_q"))))

    def effective(self, settings: Settings, sample_rate: float) -> dict[str, float]:
        return {k: clamp_cutoff(v, sample_rate) if k.endswith("_cutoff_hz") else v for k, v in self.complete(settings).items()}

    def sections(self, settings: Settings, sample_rate: float) -> np.ndarray:
        """Second-order sections, float64 (sections, 6): b0, b1, b2, 1, a1, a2; one a band, two where the cutoff is too high."""
        return self._sections(self.complete(settings), sample_rate)

    def _sections(self, full: Settings, sample_rate: float) -> np.ndarray:
        return np.array([s for arguments in self._arguments(full) for s in design(**arguments, sample_rate=sample_rate)])

    def response_db(self, settings: Settings, freqs_hz: np.ndarray, sample_rate: float) -> np.ndarray:
        """Magnitude response in dB at ``freqs_hz`` (any shape, 0..Nyquist), as rendered at this rate."""
        total: np.ndarray | float = 1.0
        for arguments in self._arguments(self.complete(settings)):
            total = total * response(freqs_hz=freqs_hz, sample_rate=sample_rate, **arguments)
        return 20.0 * np.log10(np.maximum(np.abs(total), 1e-15))

    def _arguments(self, full: Settings) -> list[dict[str, Any]]:
        """Per band what ``design`` and ``response`` take."""
        return [
            {"kind": k, "gain_db": full.get(f"{n}_gain_db", 0.0), "cutoff_hz": full[f"{n}_cutoff_hz"], "q": full[f"{n}_q"]}
            for n, k, _, _ in self.bands
        ]

    def start(self, settings: Settings, sample_rate: float, channels: int) -> CascadeProcess:
        return CascadeProcess(self._sections(settings, sample_rate), channels)
