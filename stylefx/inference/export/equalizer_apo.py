"""Equalizer APO, and what else reads its text (AutoEq, Peace, PipeWire's parametric equaliser, EasyEffects): one filter a line.

Its PK, LSC and HSC with a Q are R. Bristow-Johnson's, as ours. It has no dynamics: what a compressor does is left out and said.
"""

from __future__ import annotations

from stylefx.errors import UserError
from stylefx.inference.export.stages import BandStage, CompressorStage, header, number, stages
from stylefx.inference.settings_file import StyleSettings

_KINDS = {"peak": "PK", "low_shelf": "LSC", "high_shelf": "HSC", "high_pass": "HPQ", "low_pass": "LPQ", "notch": "NO"}


def render(style: StyleSettings) -> str:
    """The text of a configuration; UserError where the settings have no equaliser band that does anything."""
    plan, _, _, notes = stages(style, "equalizer-apo")
    bands = [stage for stage in plan if isinstance(stage, BandStage)]
    if not bands:
        raise UserError("equalizer-apo takes equalisers only, and these settings have no band that does anything")
    gain_db = sum(stage.gain_db for stage in plan if not isinstance(stage, BandStage | CompressorStage))
    if any(isinstance(stage, CompressorStage) for stage in plan):
        notes.append("The compressor is left out: Equalizer APO has no dynamics. Its make-up gain is left in the preamp.")
    usage = "Use: Include: THIS_FILE in Equalizer APO's config.txt, or import it where an AutoEq preset is taken."
    lines = [f"Filter {i + 1}: ON {_words(band)}" for i, band in enumerate(bands)]
    return "\r\n".join([*header(style, "equalizer-apo", [usage, *notes]), f"Preamp: {number(gain_db)} dB", *lines, ""])


def _words(band: BandStage) -> str:
    if band.kind not in _KINDS:
        raise UserError(f"equalizer-apo has no {band.kind.replace('_', ' ')} (band {band.name}); leave the band out")
    gain = f" Gain {number(band.gain_db)} dB" if band.kind in ("peak", "low_shelf", "high_shelf") else ""
    return f"{_KINDS[band.kind]} Fc {number(band.cutoff_hz)} Hz{gain} Q {number(band.q)}"
