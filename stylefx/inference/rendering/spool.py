"""Rendered audio that waits for its last gain: in memory while it is short, else in a file that ends with the process."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

_IN_MEMORY_BYTES = 32 << 20


class RenderedSpool:
    """Float32 blocks (channels, n) in, the same blocks out as often as asked."""

    def __init__(self, folder: Path, channels: int):
        self.channels = channels
        self._lengths: list[int] = []
        self._file = tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES, dir=str(folder))  # noqa: SIM115 (closed in __exit__)

    def write(self, block: np.ndarray) -> None:
        if block.shape[1]:
            self._file.write(np.ascontiguousarray(block, np.float32).reshape(-1).data)
            self._lengths.append(block.shape[1])

    def __iter__(self) -> Iterator[np.ndarray]:
        self._file.seek(0)
        for length in self._lengths:
            block = np.empty((self.channels, length), np.float32)
            self._file.readinto(block.reshape(-1).view(np.uint8).data)
            yield block

    def __enter__(self) -> RenderedSpool:
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.close()
