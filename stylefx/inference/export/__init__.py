"""Settings for other programs. Each target is one module with ``render(style)``, the content of a file that runs or loads.

What a target does otherwise than our render is said in comments at the head of its file.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import NamedTuple

from stylefx.inference.settings_file import StyleSettings


class Target(NamedTuple):
    """``module``: what writes it, below stylefx.inference.export; ``label``: its name for people; ``suffix``: the usual
    extension; ``use``: how to use FILE."""

    module: str
    label: str
    suffix: str
    use: str


#: target -> how it is written and used; the names are those of ``targets``
TARGETS = {
    "ffmpeg": Target("ffmpeg", "ffmpeg", ".sh", "sh FILE input.wav output.wav"),
    "sox": Target("sox", "SoX", ".sh", "sh FILE input.wav output.wav"),
    "pedalboard": Target("pedalboard", "pedalboard", ".py", "python FILE input.wav output.wav"),
    "reaper": Target(
        "reaper", "REAPER (JSFX)", ".jsfx", "copy FILE into REAPER's Effects folder and add it to a track as a JS effect"
    ),
    "faust": Target("faust", "Faust", ".dsp", "faust -double -a ARCHITECTURE FILE"),
    "dawproject": Target("dawproject", "DAWproject", ".dawproject", "open FILE in a DAW that reads DAWproject"),
    "equalizer-apo": Target("equalizer_apo", "Equalizer APO", ".txt", "include FILE in Equalizer APO's config.txt"),
    "lv2": Target(
        "lv2",
        "LV2 presets (LSP)",
        ".ttl",
        "copy FILE as manifest.ttl into a folder ~/.lv2/NAME.lv2; LSP's plug-ins then offer the presets",
    ),
}


def export_bytes(style: StyleSettings, target: str) -> bytes:
    """The content of the file for ``target`` (a key of TARGETS); UserError for an effect that the target has not."""
    render: Callable[[StyleSettings], str | bytes] = import_module(f"stylefx.inference.export.{TARGETS[target].module}").render
    content = render(style)
    return content if isinstance(content, bytes) else content.encode()


def export_text(style: StyleSettings, target: str) -> str:
    """The same where it is text."""
    return export_bytes(style, target).decode()
