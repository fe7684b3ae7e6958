"""ffmpeg: a shell script with one -af filter chain.

acompressor smooths the level (linear, before the gain is computed), we smooth the gain reduction; its time t is four
time constants, ours ln 9 of them. Its soft knee, a cubic through the same end points and slopes, is our parabola.
"""

from __future__ import annotations

import math

from stylefx.inference.export.stages import LN9, Band, Compressor, Gain, Stage, header, number, stages
from stylefx.inference.settings_file import StyleSettings

_TIME = 4 / LN9  # 1.82
_LOWEST_THRESHOLD_DB = -60.0
_MAX_RATIO = 20.0
_MAX_KNEE_DB = 20 * math.log10(8)
_FILTERS = {
    "peak": "equalizer", "low_shelf": "lowshelf", "high_shelf": "highshelf",
    "high_pass": "highpass", "low_pass": "lowpass", "notch": "bandreject",
}  # fmt: skip


def filter_chain(style: StyleSettings) -> tuple[str, list[str]]:
    """The text for -af, and what ffmpeg does otherwise."""
    plan, notes = stages(style, "ffmpeg")
    filters = ["aformat=sample_fmts=dblp"]  # else the first filter may work in 16 bits
    for stage in plan:
        filters += _filters(stage, notes)
    return ",".join(filters), notes


def _filters(stage: Stage, notes: list[str]) -> list[str]:
    if isinstance(stage, Gain):
        return [_volume(stage.gain_db)]
    if isinstance(stage, Band):
        gain = f":g={number(stage.gain_db)}" if stage.kind in ("peak", "low_shelf", "high_shelf") else ""
        return [f"{_FILTERS[stage.kind]}=f={number(stage.cutoff_hz)}:t=q:w={number(stage.q)}{gain}:r=f64"]
    return _compressor(stage, notes)


def _compressor(stage: Compressor, notes: list[str]) -> list[str]:
    notes.append("acompressor smooths the level before its gain curve, stylefx the gain reduction after it: attacks and")
    notes.append("releases have the same time constants, but another shape.")
    ratio, knee_db = min(stage.ratio, _MAX_RATIO), min(stage.knee_db, _MAX_KNEE_DB)
    if ratio != stage.ratio:
        notes.append(f"ratio {stage.ratio:g} is beyond ffmpeg's {_MAX_RATIO:g} and set to that.")
    if knee_db != stage.knee_db:
        notes.append(f"knee {stage.knee_db:g} dB is beyond ffmpeg's {_MAX_KNEE_DB:.1f} dB and set to that.")
    # Outside ffmpeg's range of thresholds the audio is moved instead, and moved back.
    shift = max(0.0, math.ceil(_LOWEST_THRESHOLD_DB - stage.threshold_db)) - max(0.0, math.ceil(stage.threshold_db))
    threshold = 10 ** ((stage.threshold_db + shift) / 20)
    text = (
        f"acompressor=threshold={number(threshold)}:ratio={number(ratio)}:attack={number(max(stage.attack_ms * _TIME, 0.01))}"
        f":release={number(max(stage.release_ms * _TIME, 0.01))}:knee={number(10 ** (knee_db / 20))}"
        ":makeup=1:detection=peak:link=maximum"
    )
    return [_volume(shift), text, _volume(-shift)] if shift else [text]


def _volume(gain_db: float) -> str:
    return f"volume={number(gain_db)}dB:precision=double"


def render(style: StyleSettings) -> str:
    """A POSIX shell script: ``sh FILE input output``."""
    text, notes = filter_chain(style)
    if all(isinstance(s, Gain | Band) for s in stages(style, "ffmpeg")[0]):
        notes.append("Equaliser and gains are the same as in stylefx.")
    usage = "Use: sh THIS_FILE input.wav output.wav   (or copy the text after -af into your own command)"
    lines = [
        "#!/bin/sh",
        *header(style, "ffmpeg", [usage, *notes]),
        "case $2 in *.wav) codec='-c:a pcm_s24le' ;; *) codec= ;; esac",
        f'exec ffmpeg -nostdin -y -i "$1" -af \'{text}\' $codec "$2"',
    ]
    return "\n".join([*lines, ""])
