"""A source: recordings that lie in no folder. Its ``path`` says how many singers there are, and for how many seconds."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
import soundfile

from stylefx.errors import SourceError
from stylefx.plugins import SourcePlugin, SourceRecording

RATE = 12000


class Tones(SourcePlugin):
    """``path: 3x4`` are three recordings of four seconds, each of a group of its own."""

    def __init__(self, location: str):
        super().__init__(location)
        count, times, seconds = location.partition("x")
        if not (times and count.isdigit() and seconds.isdigit()):
            raise SourceError(f"the path of tones is {location!r}; give COUNTxSECONDS, such as 3x4")
        self._count, self._seconds = int(count), int(seconds)

    def recordings(self) -> Iterator[SourceRecording]:
        for number in range(self._count):
            yield SourceRecording(f"{number}.tone", size=self._seconds * RATE, mtime_ns=0, columns={"singer": f"singer-{number}"})

    def open(self, path: str) -> BinaryIO:
        number = int(path.removesuffix(".tone"))
        t = np.arange(self._seconds * RATE) / RATE
        rng = np.random.default_rng(number)
        tone = sum(np.sin(2 * np.pi * (110 + 40 * number) * k * t) / k for k in range(1, 8)) + 0.05 * rng.standard_normal(len(t))
        file = io.BytesIO()
        soundfile.write(file, 0.1 * tone, RATE, format="WAV", subtype="PCM_24")  # FLOAT would carry the time of writing
        file.seek(0)
        return file
