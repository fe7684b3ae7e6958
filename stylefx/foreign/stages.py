"""What other programs are told: settings as bands, compressors, expanders and gains, in the order of the chain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from stylefx.effects.base import Effect
from stylefx.effects.kernels.biquad import GAIN_KINDS, clamp_cutoff, design, is_beyond
from stylefx.errors import UserError

if TYPE_CHECKING:
    from stylefx.effects.palette.parametric_eq import ParametricEq

#: a time t of ours is that of 10-90 %; the time constant (1 - 1/e) is t / ln 9
LN9 = 2.1972245773362196


@dataclass(frozen=True)
class BandStage:
    """One equaliser section (R. Bristow-Johnson's cookbook); kinds as in stylefx.effects.kernels.biquad.

    ``sections``: where the rate cannot hold the cutoff, what is rendered instead, (b0, b1, b2, 1, a1, a2) each."""

    name: str
    kind: str
    gain_db: float
    cutoff_hz: float
    q: float
    sections: tuple[tuple[float, ...], ...] = ()


@dataclass(frozen=True)
class CompressorStage:
    """Feed-forward compressor with one side chain for all channels; times are 10-90 %."""

    threshold_db: float
    ratio: float
    attack_ms: float
    release_ms: float
    knee_db: float


@dataclass(frozen=True)
class ExpanderStage(CompressorStage):
    """Downward expander: opens with the attack, closes with the release, reduces by ``range_db`` at most."""

    range_db: float


@dataclass(frozen=True)
class GainStage:
    gain_db: float


@dataclass(frozen=True)
class LimiterStage:
    """Gain into a brick wall at the ceiling, with a look-ahead; channels linked."""

    gain_db: float
    ceiling_db: float
    release_ms: float
    lookahead_ms: float


Stage = BandStage | CompressorStage | ExpanderStage | GainStage


def stages_of(effect: Effect, settings: Mapping[str, float], sample_rate: float | None, drop_neutral: bool = True) -> list[Stage]:
    """The stages of one effect with complete settings. Cutoffs are as our render has them at ``sample_rate``, None
    leaves them; UserError for an effect that has no such stages."""
    out: list[Stage]
    if effect.name == "parametric_eq":
        out = [_band(band[0], band[1], settings, sample_rate) for band in cast("ParametricEq", effect).bands]
    elif effect.name in ("compressor", "expander"):
        kind = CompressorStage if effect.name == "compressor" else ExpanderStage
        out = [kind(**{n: v for n, v in settings.items() if n != "makeup_gain_db"}), GainStage(settings["makeup_gain_db"])]
    elif effect.name == "gain":
        out = [GainStage(settings["gain_db"])]
    else:
        raise UserError(f"the effect {effect.name!r} has no counterpart in other programs")
    return [stage for stage in out if not neutral(stage)] if drop_neutral else out


def _band(name: str, kind: str, settings: Mapping[str, float], sample_rate: float | None) -> BandStage:
    asked, q, gain_db = settings[f"{name}_cutoff_hz"], settings[f"{name}_q"], settings.get(f"{name}_gain_db", 0.0)
    if sample_rate is None:
        return BandStage(name, kind, gain_db, asked, q)
    sections = tuple(design(kind, asked, q, sample_rate, gain_db)) if is_beyond(asked, sample_rate) else ()
    return BandStage(name, kind, gain_db, clamp_cutoff(asked, sample_rate), q, sections)


def neutral(stage: Stage) -> bool:
    """Does the stage leave the audio as it is?"""
    if isinstance(stage, BandStage):
        return stage.kind in GAIN_KINDS and stage.gain_db == 0.0
    if isinstance(stage, CompressorStage):
        return stage.ratio == 1.0
    return stage.gain_db == 0.0


def number(value: float) -> str:
    """Nine significant digits without an exponent: every program reads them."""
    text = f"{value:.9g}"
    return text if "e" not in text else f"{value:.12f}"
