"""The result of ``stylefx.transfer``, and how a notebook shows it."""

from __future__ import annotations

from dataclasses import dataclass, field
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stylefx.audio.writing import encode_audio, write_audio
from stylefx.corpus.opened import spectrum_db
from stylefx.files.notebook import block, player, preformatted, spectra
from stylefx.inference.cli.table import settings_table
from stylefx.inference.page.build import excerpt
from stylefx.inference.python.sources import as_array, is_file
from stylefx.inference.rendering.file import Rendered
from stylefx.inference.settings_file import StyleSettings

if TYPE_CHECKING:
    import numpy as np
    import torch

_SECONDS = 20.0  # of each recording that a notebook holds


@dataclass(frozen=True)
class TransferResult:
    """``audio`` is of the kind that was given, float32 at ``sample_rate`` Hz; ``settings`` render it again anywhere
    (``stylefx.render_file``); ``rendered`` states loudness, peaks and gains; ``output`` is the file, where one was asked for."""

    audio: np.ndarray | torch.Tensor
    sample_rate: int
    settings: StyleSettings
    rendered: Rendered
    output: Path | None
    _input: tuple[Any, int | None] = field(repr=False)
    _reference: tuple[Any, int | None] = field(repr=False)

    def save(self, path: str | PathLike[str], subtype: str = "float32") -> None:
        """Write the audio (pcm16, pcm24 or float32 as .wav, flac16 or flac24 as .flac) and the settings beside it (.json)."""
        path = Path(fspath(path))
        write_audio(path, as_array(self.audio, "the result"), self.sample_rate, subtype)
        self.settings.save(path.with_suffix(".json"))

    def __repr__(self) -> str:
        reading = self.rendered.output
        where = f" in {self.output}" if self.output else ""
        loudness = f"{reading.lufs:.1f} LUFS, {reading.true_peak_dbtp:+.1f} dBTP"
        return f"<transfer{where}: {self.rendered.seconds:.2f} s at {self.sample_rate} Hz, {loudness}>"

    def _repr_html_(self) -> str:
        heard = {
            "input": _excerpt(*self._input),
            "reference": _excerpt(*self._reference),
            "output": _excerpt(self.audio, self.sample_rate),
        }
        players = [player(encode_audio(a, r, "flac16", "scale"), "flac", name) for name, (a, r) in heard.items()]
        curves = {name: spectrum_db(audio, rate) for name, (audio, rate) in heard.items()}
        picture = spectra(curves, "average spectra of input, reference and output")
        return block(repr(self)[1:-1], *players, picture, preformatted(settings_table(self.settings)))


def _excerpt(audio: Any, rate: int | None) -> tuple[np.ndarray, int]:
    """Some seconds out of the middle, and their rate."""
    if is_file(audio):
        return excerpt(audio, _SECONDS)
    assert rate is not None  # of an array, as the call checked
    array = as_array(audio, "audio")
    span = min(array.shape[1], round(_SECONDS * rate))
    first = (array.shape[1] - span) // 2
    return array[:, first : first + span], int(rate)
