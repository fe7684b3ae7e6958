"""Memory that two processes share, without a name: what nobody has open any more is gone, however its users ended.

It does not come out of /dev/shm either, of which a container often has 64 MB.
"""

from __future__ import annotations

import math
import mmap
import os
import tempfile
from collections.abc import Sequence

import numpy as np


def create(size_bytes: int) -> int:
    """A file descriptor of so much memory; to be closed."""
    if hasattr(os, "memfd_create"):
        handle = os.memfd_create("stylefx-batches", os.MFD_CLOEXEC)
    else:  # macOS
        with tempfile.TemporaryFile() as file:
            handle = os.dup(file.fileno())
    os.ftruncate(handle, size_bytes)
    return handle


def size_bytes(slots: int, fields: Sequence[str], shape: tuple[int, ...]) -> int:
    return 4 * slots * len(fields) * math.prod(shape)


def slots_of(handle: int, slots: int, fields: Sequence[str], shape: tuple[int, ...]) -> list[dict[str, np.ndarray]]:
    """The arrays of each slot, {field: float32 of ``shape``}; they stay when the descriptor is closed."""
    whole = np.frombuffer(mmap.mmap(handle, size_bytes(slots, fields, shape)), np.float32)
    return [dict(zip(fields, slot, strict=True)) for slot in whole.reshape(slots, len(fields), *shape)]
