"""What every export starts from: the settings as a list of bands, compressors and gains, in the order of the chain."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from stylefx.effects.kernels.biquad import clamp_cutoff, is_beyond
from stylefx.errors import UserError
from stylefx.foreign.fit import fitted
from stylefx.foreign.stages import (
    LN9,
    BandStage,
    CompressorStage,
    GainStage,
    LimiterStage,
    Stage,
    neutral,
    number,
    stages_of,
)  # fmt: skip
from stylefx.inference.settings_file import StyleSettings

if TYPE_CHECKING:
    from stylefx.effects.palette.parametric_eq import ParametricEq

__all__ = [
    "LN9", "BandStage", "CompressorStage", "GainStage", "LimiterStage", "Plan", "Stage", "fit_compressors", "header", "number",
    "stages", "title",
]  # fmt: skip

_LONGEST_TITLE = 80
_KNOWN = ("parametric_eq", "compressor", "gain")


class Plan(NamedTuple):
    """``stages`` of the chain, the ``limiter`` at its end where there is one, ``after_db`` after that, and what is to be said."""

    stages: list[Stage]
    limiter: LimiterStage | None
    after_db: float
    notes: list[str]


def stages(style: StyleSettings, target: str, drop_neutral: bool = True, limits: bool = False) -> Plan:
    """The plan of a chain. Bands are designed for the settings' rate, as our render does, where their cutoffs are above 0.9
    Nyquist; ``drop_neutral`` leaves out what does nothing. Without ``limits`` (the target has none) all gains are stages."""
    out: list[Stage] = []
    notes: list[str] = []
    limiter: LimiterStage | None = None
    for effect, entry in zip(style.chain.effects, style.settings, strict=True):
        if entry["bypass"] or entry["mix"] == 0.0:
            continue
        if entry["mix"] != 1.0:
            raise UserError(f"{target} cannot express {effect.name} mixed to {entry['mix']:g}; set its mix to 1")
        if effect.name == "limiter" and style.settings[-1] is entry:
            limiter = LimiterStage(**entry["settings"], lookahead_ms=effect.config()["lookahead_ms"])
            continue
        if effect.name not in _KNOWN:
            raise UserError(
                f"{target} has no counterpart of the effect {effect.name!r} in this place; export knows {', '.join(_KNOWN)} "
                "and a limiter at the end"
            )
        rate = style.sample_rate
        out += stages_of(effect, entry["settings"], rate, drop_neutral=False)
        if effect.name == "parametric_eq" and rate is not None:
            notes += _moved(cast("ParametricEq", effect).bands, entry["settings"], rate)
    after_db = style.output_gain_db
    if limiter is not None and not limits:
        out.append(GainStage(limiter.gain_db))
        notes.append("Of the limiter at the end only the gain is here: put a limiter after this, with its")
        notes.append(f"ceiling at {limiter.ceiling_db:.2f} dB.")
        limiter = None
    if limiter is None:
        out, after_db = [*out, GainStage(after_db)], 0.0
    if drop_neutral:
        out = [stage for stage in out if not neutral(stage)]
    return Plan(out, limiter, after_db, notes)


def fit_compressors(plan: list[Stage], style: StyleSettings, target: str, soft: bool = True) -> tuple[list[Stage], list[str]]:
    """The plan with every compressor's numbers fitted, so that the target sounds most like ours, and how close they come."""
    out: list[Stage] = []
    notes: list[str] = []
    for stage in plan:
        if type(stage) is not CompressorStage or stage.threshold_db >= 0.0:
            out.append(stage)
            continue
        fit = fitted(stage, style.sample_rate or 44100.0, soft)
        out += [fit.stage, GainStage(fit.gain_db)]
        notes.append(
            f"Compressor fitted to ours: {fit.after_db:.1f} dB difference on a test signal ({fit.before_db:.1f} dB as it was)."
        )
    return out, notes


def _moved(bands: tuple[Any, ...], values: dict[str, float], sample_rate: float) -> list[str]:
    """A note for every cutoff that cannot stay where it is."""
    notes = []
    for name, *_ in bands:
        asked = values[f"{name}_cutoff_hz"]
        cutoff = clamp_cutoff(asked, sample_rate)
        if is_beyond(asked, sample_rate):
            notes.append(f"{name}: {asked:g} Hz is above 0.9 Nyquist of {sample_rate:g} Hz audio: two sections that do what the")
            notes.append("band does at 48 kHz; they are for this rate alone.")
        elif cutoff != asked:
            notes.append(f"{name}: {asked:g} Hz is above 0.9 Nyquist of {sample_rate:g} Hz audio and set to {cutoff:g} Hz.")
    return notes


def title(style: StyleSettings) -> str:
    """A name for the style: what it was made of, by the names of the recordings; one line without control characters."""
    references = style.about.get("references") or []
    names = [Path(str(r.get("path", ""))).stem for r in references if isinstance(r, dict) and r.get("path")]
    words = f"stylefx style of {' and '.join(names)}" if names else f"stylefx {' '.join(e.name for e in style.chain.effects)}"
    return "".join(c if c.isprintable() else " " for c in words)[:_LONGEST_TITLE]


def header(style: StyleSettings, target: str, notes: list[str], mark: str = "#") -> list[str]:
    """Comment lines: what the file is, for which rate, and what the target does otherwise."""
    rate = "any rate" if style.sample_rate is None else f"audio of {style.sample_rate:g} Hz"
    lines = [title(style), f"Written by `stylefx export --to {target}` for {rate}.", *notes]
    return [f"{mark} {line}".rstrip() for line in lines]
