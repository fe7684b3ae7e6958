"""pedalboard: a Python script. Its compressor is JUCE's: a hard knee, no make-up gain, each channel by itself, and the level
is smoothed before the gain curve; JUCE's time t is 2 pi time constants."""

from __future__ import annotations

import math

from stylefx.errors import UserError
from stylefx.inference.export.stages import LN9, Band, Compressor, Stage, header, number, stages
from stylefx.inference.settings_file import StyleSettings

_TIME = 2 * math.pi / LN9  # 2.86
_ROUGH_BELOW_HZ = 150.0

_SCRIPT = """\
{header}
import sys

from pedalboard import Compressor, Gain, HighShelfFilter, LowShelfFilter, Pedalboard, PeakFilter
from pedalboard.io import AudioFile

board = Pedalboard(
    [
{plugins}
    ]
)


def main(source, output):
    with AudioFile(source) as reader:
        with AudioFile(output, "w", reader.samplerate, reader.num_channels, bit_depth={bits}) as writer:
            while reader.tell() < reader.frames:
                writer.write(board(reader.read(reader.samplerate), reader.samplerate, reset=False))


if __name__ == "__main__":
    main(*sys.argv[1:])
"""


def render(style: StyleSettings) -> str:
    """A Python script: ``python FILE input output``; ``board`` can be imported from it."""
    plan, notes = stages(style, "pedalboard")
    plugins = [f"        {_plugin(stage, notes)}," for stage in plan]
    usage = "Use: python THIS_FILE input.wav output.wav   (needs the package pedalboard)"
    return _SCRIPT.format(header="\n".join(header(style, "pedalboard", [usage, *notes])), plugins="\n".join(plugins), bits=24)


def _plugin(stage: Stage, notes: list[str]) -> str:
    if isinstance(stage, Compressor):
        return _compressor(stage, notes)
    if not isinstance(stage, Band):
        return f"Gain({number(stage.gain_db)})"
    classes = {"peak": "PeakFilter", "low_shelf": "LowShelfFilter", "high_shelf": "HighShelfFilter"}
    if stage.kind not in classes:
        raise UserError(f"pedalboard has no {stage.kind.replace('_', ' ')} with a Q (band {stage.name}); leave the band out")
    if stage.cutoff_hz < _ROUGH_BELOW_HZ:
        notes.append(
            f"{stage.name}: pedalboard filters in single precision, which is rough at {stage.cutoff_hz:.0f} Hz (about -50 dB)."
        )
    arguments = f"cutoff_frequency_hz={number(stage.cutoff_hz)}, gain_db={number(stage.gain_db)}, q={number(stage.q)}"
    return f"{classes[stage.kind]}({arguments})"


def _compressor(stage: Compressor, notes: list[str]) -> str:
    notes.append("pedalboard's compressor smooths the level before its gain curve, stylefx the gain reduction after it, and it")
    notes.append("works on each channel by itself: stereo images can move. Make-up gain is a Gain after it.")
    if stage.knee_db:
        notes.append(f"knee {stage.knee_db:g} dB cannot be expressed: the knee is hard.")
    attack, release = number(stage.attack_ms * _TIME), number(stage.release_ms * _TIME)
    return (
        f"Compressor(threshold_db={number(stage.threshold_db)}, ratio={number(stage.ratio)}, "
        f"attack_ms={attack}, release_ms={release})"
    )
