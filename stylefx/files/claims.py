"""The temporary file of an output: one name for each output, so that the next writer takes over what a killed one left.

Who writes holds a lock on the file, which the kernel frees when its process dies. Two writers of the same output at the same
time, and mounts without locks, get a name that nobody else uses.
"""

from __future__ import annotations

import contextlib
import os
import uuid
import zlib
from pathlib import Path

try:
    import fcntl
except ImportError:  # not on this system
    fcntl = None  # type: ignore[assignment]

_NAME_CHARACTERS = 40  # of the target's name that a temporary name keeps, far below the 255 bytes of a name


def temporary_name(path: Path, folder: Path | None = None) -> Path:
    """A name that nobody else uses, beside ``path`` or in ``folder`` on the same disk."""
    return (folder or path.parent) / f".{path.name[:_NAME_CHARACTERS]}.{uuid.uuid4().hex[:12]}.part"


class Claim:
    """``path`` is an empty file to write to, or a name for one; ``release`` when it was published or removed."""

    def __init__(self, target: Path):
        self._handle: int | None = None
        name = os.fsencode(target.name)
        self.path = target.parent / f".{target.name[:_NAME_CHARACTERS]}.{zlib.crc32(name):08x}.part"
        if not self._lock():
            self.path = temporary_name(target)

    def _lock(self) -> bool:
        if fcntl is None:
            return False
        while True:
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if self._is_still(handle):
                    os.ftruncate(handle, 0)
                    self._handle = handle
                    return True
            except BlockingIOError:  # another process writes the same output right now
                return False
            except OSError:  # a mount without locks: nobody gets this name
                with contextlib.suppress(OSError):
                    self.path.unlink(missing_ok=True)
                return False
            finally:
                if self._handle is None:
                    os.close(handle)

    def _is_still(self, handle: int) -> bool:
        """Whether the name is still of this file: its last writer may have published it meanwhile."""
        try:
            found = os.stat(self.path)
        except FileNotFoundError:
            return False
        mine = os.fstat(handle)
        return (found.st_dev, found.st_ino) == (mine.st_dev, mine.st_ino)

    def release(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def drop(self) -> None:
        """Remove the file and release it."""
        try:
            self.path.unlink(missing_ok=True)
        finally:
            self.release()
