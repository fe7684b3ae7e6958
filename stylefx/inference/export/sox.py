"""SoX: a shell script with one effects chain.

SoX computes in 32-bit integers that clip at full scale after every effect, so the chain runs with headroom below full
scale and thresholds move with it. compand smooths the level, we the gain reduction; its times are time constants.
"""

from __future__ import annotations

import math

import numpy as np

from stylefx.effects.biquad import response
from stylefx.inference.export.stages import LN9, Band, Compressor, Gain, Stage, header, number, stages
from stylefx.inference.settings_file import StyleSettings

_LOWEST_DB = -120.0
_OVERSHOOT_DB = 6.0


def render(style: StyleSettings) -> str:
    """A POSIX shell script: ``sh FILE input output``."""
    plan, notes = stages(style, "sox")
    headroom = _headroom_db(plan, style.sample_rate or 48000.0)
    effects = [f"gain {number(-headroom)}"] if headroom else []
    carried = 0.0  # gains are gathered at the end, so that nothing clips on the way; thresholds move the other way
    for stage in plan:
        if isinstance(stage, Gain):
            carried += stage.gain_db
        elif isinstance(stage, Band):
            effects.append(_band(stage))
        else:
            effects.append(_compand(stage, stage.threshold_db - headroom - carried, notes))
    if headroom + carried:
        effects.append(f"gain {number(headroom + carried)}")
    notes.append("SoX clips at full scale at the end; it warns when it does.")
    usage = "Use: sh THIS_FILE input.wav output.wav"
    lines = [f"  {effect} \\" for effect in effects]
    if lines:
        lines[-1] = lines[-1].removesuffix(" \\")
    command = ['exec sox "$1" "$2" \\', *lines] if lines else ['exec sox "$1" "$2"']
    return "\n".join(["#!/bin/sh", *header(style, "sox", [usage, *notes]), *command, ""])


def _band(band: Band) -> str:
    f, q, gain = number(band.cutoff_hz), number(band.q), number(band.gain_db)
    return {
        "peak": f"equalizer {f} {q}q {gain}",
        "low_shelf": f"bass {gain} {f} {q}q",
        "high_shelf": f"treble {gain} {f} {q}q",
        "high_pass": f"highpass -2 {f} {q}q",
        "low_pass": f"lowpass -2 {f} {q}q",
        "notch": f"bandreject {f} {q}q",
    }[band.kind]


def _compand(stage: Compressor, threshold: float, notes: list[str]) -> str:
    notes.append("compand smooths the level before its gain curve, stylefx the gain reduction after it: attacks and")
    notes.append("releases have the same time constants, but another shape; the knee is rounded within 1 dB of ours.")
    # SoX rounds a corner along the two lines; its radius is measured on the lines, our width on the input axis.
    reach = (math.cos(math.atan(1.0)) + math.cos(math.atan(1 / stage.ratio))) / 2
    radius = max(stage.knee_db / 2 / reach, 0.01)
    if threshold >= 0:
        notes.append(f"threshold {stage.threshold_db:g} dB is above what SoX can hear; the compressor does nothing.")
        threshold = -0.01
    top = threshold - threshold / stage.ratio
    low = min(_LOWEST_DB, threshold - 2 * radius - 1)
    points = f"{number(low)},{number(low)},{number(threshold)},{number(threshold)},0,{number(top)}"
    attack, release = (number(ms / 1000 / LN9) for ms in (stage.attack_ms, stage.release_ms))
    return f"compand {attack},{release} {number(radius)}:{points} 0 -120"


def _headroom_db(plan: list[Stage], sample_rate: float) -> float:
    """Whole dB that the audio must go down for the bands not to clip: their largest joint gain and some overshoot."""
    freqs = np.geomspace(10.0, 0.499 * sample_rate, 2048)
    total = np.ones_like(freqs, dtype=complex)
    for band in (s for s in plan if isinstance(s, Band)):
        total = total * response(band.kind, freqs, band.cutoff_hz, band.q, sample_rate, band.gain_db)
    boost = 20 * math.log10(float(np.abs(total).max()))
    return float(math.ceil(boost + _OVERSHOOT_DB)) if boost > 0.01 else 0.0
