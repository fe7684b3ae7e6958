"""What every export starts from: the settings as a list of bands, compressors and gains, in the order of the chain."""

from __future__ import annotations

from dataclasses import dataclass

from stylefx.effects.biquad import GAIN_KINDS, clamp_cutoff
from stylefx.errors import UserError
from stylefx.inference.settings_file import StyleSettings

#: a time t of ours is that of 10-90 %; the time constant (1 - 1/e) is t / ln 9
LN9 = 2.1972245773362196


@dataclass(frozen=True)
class Band:
    """One equaliser section (R. Bristow-Johnson's cookbook); kinds as in stylefx.effects.biquad."""

    name: str
    kind: str
    gain_db: float
    cutoff_hz: float
    q: float


@dataclass(frozen=True)
class Compressor:
    """Feed-forward compressor with one side chain for all channels; times are 10-90 %."""

    threshold_db: float
    ratio: float
    attack_ms: float
    release_ms: float
    knee_db: float


@dataclass(frozen=True)
class Gain:
    gain_db: float


Stage = Band | Compressor | Gain


def stages(style: StyleSettings, target: str, clamp: bool = True, drop_neutral: bool = True) -> tuple[list[Stage], list[str]]:
    """The stages of a chain and notes about them. ``clamp`` renders cutoffs at 0.9 Nyquist of the settings' rate at most,
    as our render does; ``drop_neutral`` leaves out what does nothing."""
    out: list[Stage] = []
    notes: list[str] = []
    for effect, entry in zip(style.chain.effects, style.settings, strict=True):
        if entry["bypass"] or entry["mix"] == 0.0:
            continue
        if entry["mix"] != 1.0:
            raise UserError(f"{target} cannot express {effect.name} mixed to {entry['mix']:g}; set its mix to 1")
        values = entry["settings"]
        if effect.name == "parametric_eq":
            out += _bands(effect.bands, values, style.sample_rate if clamp else None, notes)
        elif effect.name == "compressor":
            names = ("threshold_db", "ratio", "attack_ms", "release_ms", "knee_db")
            out += [Compressor(**{name: values[name] for name in names}), Gain(values["makeup_gain_db"])]
        elif effect.name == "gain":
            out.append(Gain(values["gain_db"]))
        else:
            raise UserError(
                f"{target} has no counterpart of the effect {effect.name!r}; export knows parametric_eq, compressor, gain"
            )
    out.append(Gain(style.output_gain_db))
    if drop_neutral:
        out = [stage for stage in out if not _neutral(stage)]
    return out, notes


def _bands(bands: tuple, values: dict[str, float], sample_rate: float | None, notes: list[str]) -> list[Band]:
    out = []
    for name, kind, _, _ in bands:
        asked = values[f"{name}_cutoff_hz"]
        cutoff = asked if sample_rate is None else clamp_cutoff(asked, sample_rate)
        if cutoff != asked:
            notes.append(f"{name}: {asked:g} Hz is above 0.9 Nyquist of {sample_rate:g} Hz audio and set to {cutoff:g} Hz.")
        out.append(Band(name, kind, values.get(f"{name}_gain_db", 0.0), cutoff, values[f"{name}_q"]))
    return out


def _neutral(stage: Stage) -> bool:
    if isinstance(stage, Band):
        return stage.kind in GAIN_KINDS and stage.gain_db == 0.0
    if isinstance(stage, Compressor):
        return stage.ratio == 1.0
    return stage.gain_db == 0.0


def header(style: StyleSettings, target: str, notes: list[str], mark: str = "#") -> list[str]:
    """Comment lines: what the file is, for which rate, and what the target does otherwise."""
    rate = "any rate" if style.sample_rate is None else f"audio of {style.sample_rate:g} Hz"
    lines = [f"Written by `stylefx export --to {target}` for {rate}.", *notes]
    return [f"{mark} {line}".rstrip() for line in lines]


def number(value: float) -> str:
    """Nine significant digits without an exponent: every target reads them."""
    text = f"{value:.9g}"
    return text if "e" not in text else f"{value:.12f}"
