"""What the page's export buttons need: the texts of the command's writers, filled in by ``scripts/export`` in the browser."""

from __future__ import annotations

from typing import Any

from stylefx import __version__
from stylefx.inference.export import TARGETS, faust, lv2, pedalboard, reaper
from stylefx.inference.export.jsfx import dynamics, equalisers, plugin
from stylefx.inference.export.limiters import MATCHES
from stylefx.inference.export.stages import title
from stylefx.inference.settings_file import StyleSettings


def export_data(style: StyleSettings) -> dict[str, Any]:
    """Plain data for the settings of one page."""
    return {"title": title(style), "rate": style.sample_rate, **export_texts()}


def export_texts() -> dict[str, Any]:
    """What does not depend on the settings; ``targets`` in the order of the buttons."""
    return {
        "version": __version__,
        "targets": {name: {"label": t.label, "suffix": t.suffix, "use": t.use} for name, t in TARGETS.items()},
        "limiters": {name: match._asdict() for name, match in MATCHES.items()},
        "faust": {"library": faust.LIBRARY},
        "lv2": {"prefixes": lv2.PREFIXES, "equaliser": lv2.EQUALISER, "compressor": lv2.COMPRESSOR},
        "board": {
            "script": pedalboard.SCRIPT, "linked": pedalboard.LINKED, "impulse": pedalboard.IMPULSE, "names": pedalboard.NAMES,
            "wall": pedalboard.WALL,
        },
        "jsfx": {
            "nearest": plugin.NEAREST, "free": reaper.FREE, "kinds": equalisers.KINDS, "sections": equalisers.SECTIONS,
            "levels": dynamics.LEVELS, "held": dynamics.HELD, "average": dynamics.AVERAGE, "times": dynamics.TIMES,
            "wanted": dynamics.WANTED, "smoothed": dynamics.SMOOTHED, "limiter_init": dynamics.LIMITER_INIT,
            "limiter_slider": dynamics.LIMITER_SLIDER, "limiter_sample": dynamics.LIMITER_SAMPLE,
        },
    }  # fmt: skip
