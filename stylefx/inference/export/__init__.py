"""Settings for other programs. Each target is one module with ``render(style) -> str``, the text of a file that runs.

What a target does otherwise than our render is said in comments at the head of its file.
"""

from __future__ import annotations

from stylefx.inference.export.ffmpeg import render as _ffmpeg
from stylefx.inference.export.pedalboard import render as _pedalboard
from stylefx.inference.export.reaper import render as _reaper
from stylefx.inference.export.sox import render as _sox
from stylefx.inference.settings_file import StyleSettings

#: target -> (writer of the file's text, usual extension, how to use the file)
TARGETS = {
    "ffmpeg": (_ffmpeg, ".sh", "sh FILE input.wav output.wav"),
    "sox": (_sox, ".sh", "sh FILE input.wav output.wav"),
    "pedalboard": (_pedalboard, ".py", "python FILE input.wav output.wav"),
    "reaper": (_reaper, ".jsfx", "copy FILE into REAPER's Effects folder and add it to a track as a JS effect"),
}


def export_text(style: StyleSettings, target: str) -> str:
    """The text of the file for ``target`` (a key of TARGETS); UserError for an effect that the target has not."""
    return TARGETS[target][0](style)
