"""What a listener must know of a render and does not hear: gains after the chain, values rendered otherwise than asked."""

from __future__ import annotations

from stylefx.inference.hearing.restraint import limited_line
from stylefx.inference.settings_file import StyleSettings

_UNITS = {"db": "dB", "hz": "Hz", "ms": "ms"}


def facts(style: StyleSettings) -> list[str]:
    """Sentences for the page, the most important first; none where nothing was moved."""
    limited = [limited_line(entry) for entry in style.about.get("limited", ())]
    return [*_warnings(style), *_gains(style), *limited, *_clamped(style)]


def _warnings(style: StyleSettings) -> list[str]:
    """What the recordings are like, and why a loudness was missed."""
    why = (style.about.get("loudness") or {}).get("why")
    return [*style.about.get("warnings", ()), *([f"The loudness that was asked is missed: {why}."] if why else [])]


def _gains(style: StyleSettings) -> list[str]:
    gains = style.about.get("gains") or {}
    out = []
    guard, match = gains.get("true_peak_guard_db"), gains.get("loudness_match_db")
    if guard:
        out.append(f"The true-peak guard took {guard:+.2f} dB off the whole output; it is part of the output gain.")
    if match:
        where = "gain of the limiter" if gains.get("limiter_takes_at_most_db") else "output gain"
        out.append(f"The loudness match is {match:+.2f} dB; it is part of the {where}.")
    if taken := gains.get("limiter_takes_at_most_db"):
        out.append(f"The limiter takes {taken:.1f} dB at most.")
    return out


def _clamped(style: StyleSettings) -> list[str]:
    out = []
    for entry, clamped in zip(style.settings, style.clamped(), strict=True):
        for name, value in clamped.items():
            words, _, unit = name.rpartition("_")
            asked, unit = entry["settings"][name], _UNITS.get(unit, "")
            out.append(f"{words.replace('_', ' ')}: {asked:.5g} {unit} was asked, {value:.5g} {unit} is rendered at this rate.")
    return out
