"""Settings as a table for the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from stylefx.effects.base import Effect
from stylefx.inference.settings_file import StyleSettings

if TYPE_CHECKING:
    from stylefx.effects.palette.parametric_eq import ParametricEq


def settings_table(style: StyleSettings) -> str:
    """One row per band or parameter with its unit; what is rendered otherwise than asked; how far the windows agree."""
    about = style.about.get("confidence", {})
    lines: list[str] = []
    for effect, entry, clamped in zip(style.chain.effects, style.settings, style.clamped(), strict=True):
        bypass = "  (bypassed)" if entry["bypass"] else ""
        mix = f"  (mix {entry['mix']:g})" if entry["mix"] != 1.0 else ""
        spread = about.get("curve_spread_db", {}).get(effect.name)
        agree = "" if spread is None else f"  (curve +-{spread:.1f} dB over {about['windows']} windows)"
        lines.append(f"{effect.name}{bypass}{mix}{agree}")
        # Spans are those of the prediction; refined settings have left them.
        spans = {} if "refine" in style.about else about.get("span_10_90", {}).get(effect.name, {})
        likely = {} if "refine" in style.about else about.get("model_10_90", {}).get(effect.name, {})
        values = entry["settings"]
        rows = _band_rows(effect, values, likely) if hasattr(effect, "bands") else _rows(effect, values, spans, likely)
        lines += [f"  {row}" for row in rows]
        lines += [
            f"  {name}: {value:g} is rendered instead of {entry['settings'][name]:g} at this rate"
            for name, value in clamped.items()
        ]
    gains = style.about.get("gains", {})
    parts = [f"{label} {gains[key]:+.2f} dB" for key, label in _GAINS if gains.get(key)]
    lines.append(f"output gain {style.output_gain_db:+.2f} dB{' (' + ', '.join(parts) + ')' if parts else ''}")
    return "\n".join(lines)


_GAINS = (("loudness_match_db", "loudness match"), ("true_peak_guard_db", "true-peak guard"))


def _rows(effect: Effect, values: dict[str, float], spans: dict[str, list[float]], likely: dict[str, list[float]]) -> list[str]:
    rows = []
    for p in effect.parameters:
        span = spans.get(p.name)
        around = f"   windows {span[0]:.4g} .. {span[1]:.4g}" if span else ""
        around += _likely(likely.get(p.name))
        rows.append(f"{_label(p.name, p.unit):<16}{values[p.name]:>10.4g} {p.unit:<3}{around}".rstrip())
    return rows


def _label(name: str, unit: str) -> str:
    return name.removesuffix(f"_{unit.lower()}").replace("_", " ") if unit else name.replace("_", " ")


def _likely(span: list[float] | None) -> str:
    """What the model thinks likely (10 and 90 %), where it says so."""
    return f"   likely {span[0]:.4g} .. {span[1]:.4g}" if span else ""


def _band_rows(effect: Effect, values: dict[str, float], likely: dict[str, list[float]]) -> list[str]:
    rows = []
    for name, kind, *_ in cast("ParametricEq", effect).bands:
        gain = values.get(f"{name}_gain_db")
        text = "           " if gain is None else f"{gain:>+8.2f} dB"
        q = f"Q {values[f'{name}_q']:.3g}"
        cutoff = f"{values[f'{name}_cutoff_hz']:>10.0f} Hz"
        band = f"{name.replace('_', ' '):<14}{kind.replace('_', ' '):<11}{text}{cutoff}   {q}"
        rows.append(band + _likely(likely.get(f"{name}_gain_db")))
    return rows
