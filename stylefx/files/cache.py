"""What is kept on this machine to spare work: one folder, ``STYLEFX_CACHE``, and files in it that its processes share.

A file appears whole or not at all. A lock per file makes one process bring it while the others wait or do without; the
kernel frees the lock of one that dies, and what it left half-written is overwritten or swept. Where there is a limit, what
was used longest ago goes first; who has a file open keeps reading it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from stylefx.files.atomic import publish

_LOCKS = ".locks"
_PART = ".part"


def cache_folder() -> Path:
    """The folder of everything that is kept: STYLEFX_CACHE, or the user's cache folder."""
    base = os.environ.get("STYLEFX_CACHE") or os.path.join(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "stylefx")
    return Path(base).expanduser()


class Cache:
    """Files by key in ``folder``. A key begins with two letters of a digest and says all that the content depends on.

    limit_bytes: None for no limit. free_bytes: of the disk that are left alone. spare_s: what was used less long ago is not
    removed, because another process may be about to open it.
    """

    def __init__(self, folder: Path, limit_bytes: int | None, free_bytes: int = 0, spare_s: float = 0.0):
        self.folder, self.limit_bytes = folder, limit_bytes
        self._free_bytes, self._spare_s = free_bytes, spare_s

    def path(self, key: str) -> Path:
        """Where the file of this key lies when it is there."""
        return self.folder / key[:2] / key

    def find(self, key: str) -> Path | None:
        """The file if it is there; marks it as used now."""
        path = self.path(key)
        try:
            os.utime(path)  # whatever the disk's mount options are
        except FileNotFoundError:
            return None
        except PermissionError:  # another user's; it can be read all the same
            return path if os.access(path, os.R_OK) else None
        return path

    def fill(self, key: str, write: Callable[[Path], bool | None], wait: bool = True) -> Path | None:
        """The file, made by ``write(temporary path)`` when it is not there; what ``write`` raises passes.

        None where ``write`` answered False, or where another process is at it and nobody is to ``wait``.
        """
        path = self.path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        with self.only_one(key, wait) as alone:
            if not alone:
                return None
            if found := self.find(key):
                return found
            part = path.with_name(f".{key}{_PART}")  # ours while we hold the lock, also where a killed process left one
            try:
                if write(part) is False:
                    return None
                publish(part, path)
            finally:
                part.unlink(missing_ok=True)
        return path

    def make_room(self, wanted_bytes: int = 0, keep: Path | None = None) -> bool:
        """Remove what was used longest ago until ``wanted_bytes`` more fit in; False, and nothing goes, when they never can."""
        if shutil.disk_usage(self.folder).free - wanted_bytes < self._free_bytes:
            return False
        if self.limit_bytes is None:
            return True
        if wanted_bytes > self.limit_bytes:
            return False
        with self._locked("evict", wait=True):
            files = sorted(self._files())
            excess = sum(size for _, size, _ in files) + wanted_bytes - self.limit_bytes
            for used_ns, size, path in files:
                if excess <= 0:
                    break
                if path != keep and time.time_ns() - used_ns >= 1e9 * self._spare_s:
                    path.unlink(missing_ok=True)
                    excess -= size
        return True

    def only_one(self, key: str, wait: bool = True) -> contextlib.AbstractContextManager[bool]:
        """True in one thread of one process at a time; without ``wait`` False in the others."""
        return self._locked(hashlib.sha256(key.encode()).hexdigest()[:3], wait)  # 4096 lock files that are never removed

    @contextmanager
    def _locked(self, name: str, wait: bool) -> Iterator[bool]:
        folder = self.folder / _LOCKS
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / name)
        try:
            lock.acquire(blocking=wait)
        except Timeout:
            yield False
            return
        try:
            yield True
        finally:
            lock.release()

    def _files(self) -> Iterator[tuple[int, int, Path]]:
        """(last use in ns, bytes, path) of every file; what killed processes left half-written is removed on the way."""
        for folder, folders, names in os.walk(self.folder):
            folders[:] = [name for name in folders if name != _LOCKS]
            for name in names:
                path = Path(folder, name)
                if name.startswith("."):
                    self._sweep(path)
                    continue
                with contextlib.suppress(FileNotFoundError):
                    status = path.stat()
                    yield status.st_mtime_ns, status.st_size, path

    def _sweep(self, path: Path) -> None:
        if path.name.endswith(_PART):
            with self.only_one(path.name[1 : -len(_PART)], wait=False) as alone:
                if alone:
                    path.unlink(missing_ok=True)
