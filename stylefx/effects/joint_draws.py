"""Settings that are drawn together: the random equaliser, compressor and expander of the paper.

Every quantity has its own purpose, so that leaving one out shifts no other.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from stylefx.keyed import Draw

#: (seed, purpose, identity) are bound but for the purpose's last part: quantity -> Draw
Quantities = Callable[[str], Draw]

_BAND_PROBABILITY = 0.8
_MAX_SUM_DB = 24.0
_MAX_GAIN_DB, _MIN_Q, _MAX_Q, _MIN_RELEASE_MS = 24.0, 0.1, 10.0, 5.0
_TOP = 0.9  # of the Nyquist frequency
_BANDS_HZ = {"band1": (200.0, 2000.0), "band2": (800.0, 4000.0), "band3": (2000.0, 8000.0), "band4": (4000.0, math.inf)}
_SHELVES_HZ = {"low_shelf": (20.0, 200.0), "high_shelf": (4000.0, math.inf)}


@dataclass(frozen=True)
class JointDraw:
    """``draw(quantities, sample_rate)`` gives settings of ``effect``."""

    effect: str
    draw: Callable[[Quantities, int], dict[str, float]]


def _clip(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)


def _signed(draw: Draw, most_db: float) -> float:
    """+-U(0, most) dB."""
    sign = 1.0 if draw.chance(0.5) else -1.0
    return sign * draw.uniform(0.0, most_db)


def draw_eq(quantities: Quantities, sample_rate: int) -> dict[str, float]:
    """Up to four peaking bands and two shelves. A band is skipped when the signed sum of the gains drawn so far, unclipped and
    with those of skipped bands, reaches 24 dB in magnitude. A rate that cannot hold a band's lowest cutoff goes without it."""
    settings: dict[str, float] = {}
    top = _TOP * sample_rate / 2
    total_db = 0.0
    for band, (low, high) in _BANDS_HZ.items():
        if low >= top or not quantities(f"{band} applied").chance(_BAND_PROBABILITY):
            continue
        gain_db = _signed(quantities(f"{band} gain"), 48.0)
        total_db += gain_db
        if abs(total_db) >= _MAX_SUM_DB:
            continue
        settings[f"{band}_gain_db"] = _clip(gain_db, -_MAX_GAIN_DB, _MAX_GAIN_DB)
        settings[f"{band}_cutoff_hz"] = quantities(f"{band} cutoff").uniform(low, min(high, top))
        settings[f"{band}_q"] = _clip(quantities(f"{band} q").uniform(0.1, 10.1), _MIN_Q, _MAX_Q)
    for shelf, (low, high) in _SHELVES_HZ.items():
        if low >= top or not quantities(f"{shelf} applied").chance(_BAND_PROBABILITY):
            continue
        gain_db = _signed(quantities(f"{shelf} gain"), 24.0)
        settings[f"{shelf}_gain_db"] = gain_db
        settings[f"{shelf}_cutoff_hz"] = quantities(f"{shelf} cutoff").uniform(low, min(high, top))
        settings[f"{shelf}_q"] = shelf_q(gain_db)
    return settings


def shelf_q(gain_db: float) -> float:
    """Q of a shelf of slope 0.5: 1 / Q = sqrt(A) + 1 / sqrt(A), A = 10^(dB / 40); rounded to nine digits."""
    root = 10.0 ** (gain_db / 80.0)
    return float(f"{1.0 / (root + 1.0 / root):.8e}")


def _times(quantities: Quantities, low_ms: float, high_ms: float) -> dict[str, float]:
    """Attack, and a release that is longer by U(0, 200) ms."""
    attack = quantities("attack").uniform(low_ms, high_ms)
    release = attack + quantities("release over attack").uniform(0.0, 200.0)
    return {"attack_ms": attack, "release_ms": float(f"{max(release, _MIN_RELEASE_MS):.8e}")}


def draw_compressor(quantities: Quantities, sample_rate: int) -> dict[str, float]:
    return {
        "threshold_db": quantities("threshold").uniform(-64.0, -12.0),
        "ratio": quantities("ratio").uniform(1.0, 11.0),
        **_times(quantities, 0.5, 50.5),
        "knee_db": quantities("knee").uniform(0.0, 12.0),
        "makeup_gain_db": quantities("makeup").uniform(0.0, 6.0),
    }


def draw_expander(quantities: Quantities, sample_rate: int) -> dict[str, float]:
    return {
        "threshold_db": quantities("threshold").uniform(-30.0, -10.0),
        "ratio": quantities("ratio").uniform(1.0, 5.0),
        **_times(quantities, 1.0, 51.0),
        "knee_db": quantities("knee").uniform(0.0, 12.0),
        "makeup_gain_db": quantities("makeup").uniform(0.0, 6.0),
    }


JOINT_DRAWS = {
    "deepafx-st-eq": JointDraw("parametric_eq", draw_eq),
    "deepafx-st-compressor": JointDraw("compressor", draw_compressor),
    "deepafx-st-expander": JointDraw("expander", draw_expander),
}
