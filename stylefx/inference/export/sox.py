"""SoX: a shell script with one effects chain.

SoX computes in 32-bit integers that clip at full scale after every effect, so the chain runs with headroom below full
scale and thresholds move with it. compand smooths the level, we the gain reduction; its times are time constants.
"""

from __future__ import annotations

from stylefx.foreign.sox import effect_words, gain_words, headroom_db
from stylefx.inference.export.limiters import limiter_notes, sox_words
from stylefx.inference.export.stages import CompressorStage, fit_compressors, header, stages
from stylefx.inference.settings_file import StyleSettings

#: the words that begin an effect, so that the script has one effect a line
_EFFECTS = ("gain", "equalizer", "bass", "treble", "highpass", "lowpass", "bandreject", "biquad", "compand")


def render(style: StyleSettings) -> str:
    """A POSIX shell script: ``sh FILE input output``."""
    plan, limiter, after_db, notes = stages(style, "sox", limits=True)
    for stage in plan:
        if isinstance(stage, CompressorStage):
            notes += _compand_notes(stage)
    plan, fits = fit_compressors(plan, style, "sox")
    notes += fits
    words, gain_db = effect_words(plan, headroom_db(plan, style.sample_rate or 48000.0))
    if limiter is None:
        words += gain_words(gain_db)
    else:
        words += [*sox_words(limiter, gain_db), *gain_words(after_db)]
        notes += limiter_notes("sox")
    notes.append("SoX clips at full scale at the end; it warns when it does.")
    usage = "Use: sh THIS_FILE input.wav output.wav"
    lines = [f"  {effect} \\" for effect in _by_effect(words)]
    if lines:
        lines[-1] = lines[-1].removesuffix(" \\")
    command = ['exec sox "$1" "$2" \\', *lines] if lines else ['exec sox "$1" "$2"']
    return "\n".join(["#!/bin/sh", *header(style, "sox", [usage, *notes]), *command, ""])


def _by_effect(words: list[str]) -> list[str]:
    starts = [i for i, word in enumerate(words) if word in _EFFECTS]
    return [" ".join(words[a:b]) for a, b in zip(starts, [*starts[1:], len(words)], strict=True)]


def _compand_notes(stage: CompressorStage) -> list[str]:
    notes = [
        "compand smooths the level before its gain curve, stylefx the gain reduction after it: attacks and",
        "releases have another shape; the knee is rounded within 1 dB of ours.",
    ]
    if stage.threshold_db >= 0:
        notes.append(f"threshold {stage.threshold_db:g} dB is above what SoX can hear; the compressor does nothing.")
    return notes
