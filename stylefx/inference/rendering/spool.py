"""Rendered audio that waits for its last gain: in memory while it is short, else in a file that ends with the process."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

_IN_MEMORY_BYTES = 32 << 20
_FRAMES = 1 << 16


class RenderedSpool:
    """Float32 blocks (channels, n) in, the same samples out as often as asked."""

    def __init__(self, folder: Path, channels: int):
        self.channels = channels
        self._file = tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES, dir=str(folder))  # noqa: SIM115 (closed in __exit__)

    def write(self, block: np.ndarray) -> None:
        self._file.write(np.ascontiguousarray(block.T, np.float32).tobytes())

    def __iter__(self) -> Iterator[np.ndarray]:
        self._file.seek(0)
        while data := self._file.read(_FRAMES * self.channels * 4):
            yield np.ascontiguousarray(np.frombuffer(data, np.float32).reshape(-1, self.channels).T)

    def __enter__(self) -> RenderedSpool:
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.close()
