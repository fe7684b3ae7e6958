"""ffmpeg: a shell script with one -af filter chain.

The filters themselves are those of stylefx.foreign.ffmpeg.
"""

from __future__ import annotations

from stylefx.foreign.ffmpeg import DOUBLE, MAX_KNEE_DB, MAX_RATIO, filters, volume
from stylefx.inference.export.limiters import ffmpeg_filters, limiter_notes
from stylefx.inference.export.stages import BandStage, CompressorStage, GainStage, fit_compressors, header, stages
from stylefx.inference.settings_file import StyleSettings


def filter_chain(style: StyleSettings) -> tuple[str, list[str]]:
    """The text for -af, and what ffmpeg does otherwise."""
    plan, limiter, after_db, notes = stages(style, "ffmpeg", limits=True)
    for stage in plan:
        if isinstance(stage, CompressorStage):
            notes += _compressor_notes(stage)
    plan, fits = fit_compressors(plan, style, "ffmpeg")
    notes += fits
    texts = [text for stage in plan for text in filters(stage)]
    if limiter is not None:
        texts += [*ffmpeg_filters(limiter), *([volume(after_db)] if after_db else [])]
        notes += limiter_notes("ffmpeg")
    return ",".join([DOUBLE, *texts]), notes


def _compressor_notes(stage: CompressorStage) -> list[str]:
    notes = [
        "acompressor smooths the level before its gain curve, stylefx the gain reduction after it: attacks and",
        "releases have another shape.",
    ]
    if stage.ratio > MAX_RATIO:
        notes.append(f"ratio {stage.ratio:g} is beyond ffmpeg's {MAX_RATIO:g} and set to that.")
    if stage.knee_db > MAX_KNEE_DB:
        notes.append(f"knee {stage.knee_db:g} dB is beyond ffmpeg's {MAX_KNEE_DB:.1f} dB and set to that.")
    return notes


def render(style: StyleSettings) -> str:
    """A POSIX shell script: ``sh FILE input output``."""
    text, notes = filter_chain(style)
    plan = stages(style, "ffmpeg", limits=True)
    if plan.limiter is None and all(isinstance(s, GainStage | BandStage) for s in plan.stages):
        notes.append("Equaliser and gains are the same as in stylefx.")
    usage = "Use: sh THIS_FILE input.wav output.wav   (or copy the text after -af into your own command)"
    lines = [
        "#!/bin/sh",
        *header(style, "ffmpeg", [usage, *notes]),
        "case $2 in *.wav) codec='-c:a pcm_s24le' ;; *) codec= ;; esac",
        f'exec ffmpeg -nostdin -y -i "$1" -af \'{text}\' $codec "$2"',
    ]
    return "\n".join([*lines, ""])
