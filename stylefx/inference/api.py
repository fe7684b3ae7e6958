"""Style transfer in five lines of Python.

from stylefx.inference.api import StyleTransfer, TransferOptions, load_settings, render_file

tool = StyleTransfer()  # the model that comes with stylefx, or StyleTransfer("runs/demo")
done = tool.transfer("voice.wav", ["reference.wav"], "styled.wav", TransferOptions(intensity=0.8))
print(done.style.settings, done.rendered.output.lufs)
render_file("another.wav", load_settings("styled.json"), "another-styled.wav")
"""

from __future__ import annotations

from stylefx.inference.options import TransferOptions
from stylefx.inference.rendering.file import Loudness, Rendered, render_file
from stylefx.inference.settings_file import StyleSettings, load_settings
from stylefx.inference.transfer import StyleTransfer, Transferred

__all__ = [
    "Loudness",
    "Rendered",
    "StyleSettings",
    "StyleTransfer",
    "TransferOptions",
    "Transferred",
    "load_settings",
    "render_file",
]
