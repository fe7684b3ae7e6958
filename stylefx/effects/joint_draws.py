"""Settings that are drawn together: the paper's random effects, and what people do when they produce or master.

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
_SOX_TIME = math.log(9.0)  # SoX quotes time constants, we times of 10-90 %
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


def draw_eq(quantities: Quantities, sample_rate: int, clipped: bool = True) -> dict[str, float]:
    """Up to four peaking bands and two shelves. A band is skipped when the signed sum of the gains drawn so far, unclipped and
    with those of skipped bands, reaches 24 dB in magnitude. A rate that cannot hold a band's lowest cutoff goes without it.
    ``clipped`` keeps gain and Q within the ranges of the controls."""
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
        settings[f"{band}_gain_db"] = _clip(gain_db, -_MAX_GAIN_DB, _MAX_GAIN_DB) if clipped else gain_db
        settings[f"{band}_cutoff_hz"] = quantities(f"{band} cutoff").uniform(low, min(high, top))
        q = quantities(f"{band} q").uniform(0.1, 10.1)
        settings[f"{band}_q"] = _clip(q, _MIN_Q, _MAX_Q) if clipped else q
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
    return _nine_digits(1.0 / (root + 1.0 / root))


def _times(quantities: Quantities, low_ms: float, high_ms: float) -> dict[str, float]:
    """Attack, and a release that is longer by U(0, 200) ms."""
    attack = quantities("attack").uniform(low_ms, high_ms)
    release = attack + quantities("release over attack").uniform(0.0, 200.0)
    return {"attack_ms": attack, "release_ms": _nine_digits(max(release, _MIN_RELEASE_MS))}


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


def draw_sox_eq(quantities: Quantities, sample_rate: int) -> dict[str, float]:
    """The numbers that the paper gave to SoX: gains up to 48 dB."""
    return draw_eq(quantities, sample_rate, clipped=False)


def _from_sox(settings: dict[str, float], *slopes: float) -> dict[str, float]:
    """Times and knee that were drawn as SoX's, in our terms: 10-90 % times, and the knee's width on the input axis."""
    reach = sum(math.cos(math.atan(slope)) for slope in slopes)
    times = {name: settings[name] * _SOX_TIME for name in ("attack_ms", "release_ms")}
    return settings | times | {"knee_db": settings["knee_db"] * reach}


def draw_sox_compressor(quantities: Quantities, sample_rate: int) -> dict[str, float]:
    """The numbers that the paper gave to SoX's compand, in our terms: rendered by SoX, they are the same numbers again."""
    settings = draw_compressor(quantities, sample_rate)
    return _from_sox(settings, 1.0, 1 / settings["ratio"])


def draw_sox_expander(quantities: Quantities, sample_rate: int) -> dict[str, float]:
    settings = draw_expander(quantities, sample_rate)
    return _from_sox(settings, settings["ratio"], 1.0)


def draw_production_eq(quantities: Quantities, sample_rate: int) -> dict[str, float]:
    """A tilt of both shelves that belong together, presence, air, and cuts of mud and of a resonance; see ``_tone``."""
    return _tone(quantities, sample_rate, quantities("strength").uniform(0.35, 1.0))


def draw_mild_eq(quantities: Quantities, sample_rate: int) -> dict[str, float]:
    """The same at a third of its strength: what a recording may have been through before it is produced."""
    return _tone(quantities, sample_rate, quantities("strength").uniform(0.1, 0.35))


_TILT_DB, _SHELF_SPREAD_DB, _MOST_SHELF_DB = 5.0, 2.0, 6.0


def _tone(quantities: Quantities, sample_rate: int, strength: float) -> dict[str, float]:
    """One strength scales all gains, so that heavy and light hands both occur.

    A tilt of +-5 dB lifts one shelf and lowers the other, each 2 dB off at most; shelves end within 6 dB. Presence (2-6 kHz)
    and air (6-16 kHz) go up or down, less where the tilt lifts the top already; mud (200-600 Hz) and a narrow resonance
    (0.8-4 kHz) are cut, never raised. Cutoffs are logarithmic, up to 0.9 of the Nyquist frequency.
    """
    top = _TOP * sample_rate / 2
    tilt_db = quantities("tilt").uniform(-_TILT_DB, _TILT_DB)
    settings: dict[str, float] = {}

    def band(name: str, gain_db: float, low_hz: float, high_hz: float, q: tuple[float, float]) -> None:
        if low_hz >= top:
            return
        settings[f"{name}_gain_db"] = _nine_digits(strength * gain_db)
        settings[f"{name}_cutoff_hz"] = quantities(f"{name} cutoff").log_uniform(low_hz, min(high_hz, top))
        settings[f"{name}_q"] = quantities(f"{name} q").log_uniform(*q)

    for name, sign, low_hz, high_hz in (("low_shelf", -1.0, 60.0, 200.0), ("high_shelf", 1.0, 4000.0, 14000.0)):
        spread_db = quantities(f"{name} gain").uniform(-_SHELF_SPREAD_DB, _SHELF_SPREAD_DB)
        band(name, _clip(sign * tilt_db + spread_db, -_MOST_SHELF_DB, _MOST_SHELF_DB), low_hz, high_hz, (0.5, 0.9))
    if quantities("band1 applied").chance(0.5):
        band("band1", -quantities("band1 gain").uniform(1.0, 6.0), 200.0, 600.0, (0.7, 2.0))
    if quantities("band2 applied").chance(0.35):
        band("band2", -quantities("band2 gain").uniform(3.0, 9.0), 800.0, 4000.0, (3.0, 8.0))
    if quantities("band3 applied").chance(0.5):
        band("band3", quantities("band3 gain").uniform(-4.0, 5.0) - 0.3 * tilt_db, 2000.0, 6000.0, (0.5, 1.2))
    if quantities("band4 applied").chance(0.4):
        band("band4", quantities("band4 gain").uniform(-4.0, 4.0) - 0.3 * tilt_db, 6000.0, 16000.0, (0.5, 1.2))
    return settings


def draw_production_compressor(quantities: Quantities, sample_rate: int) -> dict[str, float]:
    """Ratios of 1.5 to 4 behind a level of -23 LUFS: one amount makes the threshold lower and the ratio higher, one speed
    makes both times shorter, and the make-up gives half of what a tone at -20 dB loses back."""
    return _compression(quantities, quantities("amount").unit())


def draw_mild_compressor(quantities: Quantities, sample_rate: int) -> dict[str, float]:
    """Some levelling, as most recordings have had it: the lowest quarter of the amounts."""
    return _compression(quantities, 0.25 * quantities("amount").unit())


_LOUD_DB = -20.0


def _compression(quantities: Quantities, amount: float) -> dict[str, float]:
    threshold_db = -16.0 - 20.0 * amount + quantities("threshold").uniform(-4.0, 4.0)
    ratio = 1.5 * (4.0 / 1.5) ** _clip(amount + quantities("ratio").uniform(-0.25, 0.25), 0.0, 1.0)
    slow = quantities("speed").unit()
    lost_db = max(0.0, _LOUD_DB - threshold_db) * (1.0 - 1.0 / ratio)
    return {
        "threshold_db": _nine_digits(threshold_db),
        "ratio": _nine_digits(ratio),
        "attack_ms": _nine_digits(1.0 * 60.0 ** _clip(slow + quantities("attack").uniform(-0.2, 0.2), 0.0, 1.0)),
        "release_ms": _nine_digits(40.0 * 15.0 ** _clip(slow + quantities("release").uniform(-0.2, 0.2), 0.0, 1.0)),
        "knee_db": quantities("knee").uniform(0.0, 12.0),
        "makeup_gain_db": _nine_digits(0.5 * lost_db),
    }


def draw_mastering_limiter(quantities: Quantities, sample_rate: int) -> dict[str, float]:
    """0 to 8 dB into a ceiling of -9 to -5 dBFS behind -23 LUFS: peaks lie 12 to 20 dB above the loudness."""
    return {
        "gain_db": quantities("gain").uniform(0.0, 8.0),
        "ceiling_db": quantities("ceiling").uniform(-9.0, -5.0),
        "release_ms": quantities("release").log_uniform(30.0, 300.0),
    }


def _nine_digits(value: float) -> float:
    """Rounded like every draw: a last bit of the mathematics library makes no other recipe."""
    return float(f"{value:.8e}")


JOINT_DRAWS = {
    "deepafx-st-eq": JointDraw("parametric_eq", draw_eq),
    "deepafx-st-compressor": JointDraw("compressor", draw_compressor),
    "deepafx-st-expander": JointDraw("expander", draw_expander),
    "paper-sox-eq": JointDraw("parametric_eq", draw_sox_eq),
    "paper-sox-compressor": JointDraw("compressor", draw_sox_compressor),
    "paper-sox-expander": JointDraw("expander", draw_sox_expander),
    "production-eq": JointDraw("parametric_eq", draw_production_eq),
    "mild-eq": JointDraw("parametric_eq", draw_mild_eq),
    "production-compressor": JointDraw("compressor", draw_production_compressor),
    "mild-compressor": JointDraw("compressor", draw_mild_compressor),
    "mastering-limiter": JointDraw("limiter", draw_mastering_limiter),
}
