"""The disk takes a long file while it is still being written, so that the sync at its end has little to wait for."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import BinaryIO

_STEP_BYTES = 1 << 20
_PAGE_BYTES = 1 << 12


class Writeback:
    """A hint to the system, beside which everything stays as it is: what is durable is what was synced."""

    def __init__(self, file: BinaryIO):
        self._file = file
        self._begun_bytes = 0

    def advance(self, written_bytes: int) -> None:
        """The file has this length by now: whole pages that are new begin to go to the disk, a megabyte or more at a time."""
        if written_bytes - self._begun_bytes < _STEP_BYTES or not hasattr(os, "posix_fadvise"):
            return
        self._file.flush()
        new = written_bytes // _PAGE_BYTES * _PAGE_BYTES - self._begun_bytes
        # Linux writes dirty pages of which it is told that they are not needed, and keeps them until that is done.
        with suppress(OSError):  # some mounts take no advice
            os.posix_fadvise(self._file.fileno(), self._begun_bytes, new, os.POSIX_FADV_DONTNEED)
        self._begun_bytes += new
