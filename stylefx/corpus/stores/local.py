"""Where a corpus' files come from: a local folder, read in place; and the files that are kept open."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path

from stylefx.errors import UserError

_FILES_KEPT = 64


class LocalStore:
    """Files of a corpus in a folder. ``path`` takes names relative to the corpus."""

    limit_bytes = None  # nothing is cached

    def __init__(self, root: str | Path):
        self.root = Path(root)

    def __str__(self) -> str:
        return str(self.root)

    def path(self, name: str, sha256: str | None = None) -> Path:
        """A local path to read the file from; UserError when it is missing."""
        path = self.root / name
        if not path.is_file():
            raise UserError(f"{path} is missing although the corpus lists it; verify the corpus with stylefx-pipe verify")
        return path

    def find_text(self, name: str) -> str | None:
        """The text of a file; None where there is none of that name."""
        return (self.root / name).read_text() if (self.root / name).is_file() else None

    def text(self, name: str) -> str:
        return self.path(name).read_text()

    def data(self, name: str, sha256: str) -> bytes:
        """The bytes of a file that is read once."""
        return self.path(name).read_bytes()

    def renew(self, name: str, sha256: str) -> bool:
        """There is no other copy."""
        return False

    def prefetch(self, files: list[tuple[str, str | None]]) -> None:
        """Nothing to fetch."""

    def warning(self) -> str | None:
        """Nothing is kept."""
        return None

    def close(self) -> None:
        """Nothing to stop."""


def _read_at(fd: int, size: int, offset: int) -> bytes:
    if hasattr(os, "pread"):
        return os.pread(fd, size, offset)
    os.lseek(fd, offset, os.SEEK_SET)
    return os.read(fd, size)


class OpenFiles:
    """Open file descriptors, a bounded number; ``read`` is safe from several threads and after a fork."""

    def __init__(self) -> None:
        self._open: OrderedDict[Path, int] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, locate: Callable[[], Path], spans: Sequence[tuple[int, int]]) -> list[bytes]:
        try:
            fd = self._own(locate())
        except FileNotFoundError:  # another process removed it from a shared cache just now
            fd = self._own(locate())
        try:
            return [_read_at(fd, size, offset) for offset, size in spans]
        finally:
            os.close(fd)

    def _own(self, path: Path) -> int:
        """A descriptor that nobody else reads from; where reading moves it, duplicates of one would get in each other's way."""
        return self._duplicate(path) if hasattr(os, "pread") else os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))

    def _duplicate(self, path: Path) -> int:
        """A descriptor of our own: the file stays readable while another thread evicts the cached one."""
        with self._lock:
            if path not in self._open:
                self._open[path] = os.open(path, os.O_RDONLY)
                if len(self._open) > _FILES_KEPT:
                    os.close(self._open.popitem(last=False)[1])
            self._open.move_to_end(path)
            return os.dup(self._open[path])

    def close(self) -> None:
        with self._lock:
            while self._open:
                os.close(self._open.popitem()[1])
