"""What another program made of the same items: a folder with one audio file per item, named after the item.

``stylefx evaluate --items-to FOLDER`` writes the items (``NAME-input.wav``, ``NAME-reference.wav``); the program writes
``NAME.wav`` (or .flac) into a folder of its own, and ``--outside PROGRAM=FOLDER`` measures that beside the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from stylefx.audio.mixing import mix_down
from stylefx.audio.reading import read_audio
from stylefx.audio.resampling import resample
from stylefx.errors import UserError
from stylefx.evaluation.pairs import Pair
from stylefx.evaluation.systems.base import System, SystemOutput

_SUFFIXES = (".wav", ".flac")


class OutsideOutputs(System):
    """Outputs of a program that is no part of ours; resampled, mixed down and cut to the item's shape."""

    def __init__(self, name: str, folder: Path):
        self.name = self.title = name
        self.folder = folder

    def __call__(self, pairs: Sequence[Pair]) -> list[SystemOutput]:
        return [SystemOutput(self._read(pair)) for pair in pairs]

    def _read(self, pair: Pair) -> np.ndarray:
        path = next((p for s in _SUFFIXES if (p := self.folder / f"{pair.key}{s}").exists()), None)
        if path is None:
            raise UserError(
                f"{self.folder} holds no output {pair.key}.wav of {self.name}; write the same items with --items-to "
                "and let the program process them all"
            )
        audio, rate = read_audio(path)
        channels, frames = pair.input.shape
        if audio.shape[0] != channels:
            audio = mix_down(audio) if channels == 1 else np.repeat(mix_down(audio), channels, axis=0)
        audio = resample(audio, rate, pair.sample_rate, out_frames=frames) if rate != pair.sample_rate else audio
        return np.pad(audio[:, :frames], ((0, 0), (0, max(0, frames - audio.shape[1])))).astype(np.float32)
