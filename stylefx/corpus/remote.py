"""A corpus behind a URL: files are fetched whole into a bounded local cache that all processes of a node share.

The cache is addressed by content: a file's name in it is its sha256, checked on arrival. A lock per file makes one of the
node's processes fetch and the others wait. When the cache is full, what was used longest ago goes first.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from stylefx.errors import DamageError, IncompleteError, UserError

_CHUNK = 4 << 20
_ATTEMPTS = 5
_FIRST_WAIT_S = 0.5
_IN_FLIGHT_S = 60.0  # files younger than this are not evicted: another process may be about to open them
T = TypeVar("T")


def default_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "stylefx" / "shards"


def with_retries(what: str, action: Callable[[], T], sleep: Callable[[float], None] = time.sleep) -> T:
    """Try up to five times, waiting twice as long each time; a missing file or a refusal is final."""
    for attempt in range(_ATTEMPTS):
        try:
            return action()
        except (FileNotFoundError, PermissionError) as error:
            raise UserError(f"{what} cannot be read: {error or type(error).__name__}") from error
        except (OSError, TimeoutError) as error:
            if attempt == _ATTEMPTS - 1:
                raise IncompleteError(f"{what} could not be fetched in {_ATTEMPTS} attempts ({error}); resume later") from error
            sleep(_FIRST_WAIT_S * 2**attempt)
    raise AssertionError("unreachable")


class RemoteStore:
    """Files of a corpus under ``url`` (anything fsspec reads), kept in ``cache``, at most ``limit_bytes`` of them."""

    def __init__(self, url: str, cache: Path | None = None, limit_bytes: int = 50 * 10**9):
        import fsspec

        try:
            self._fs, self._root = fsspec.core.url_to_fs(url.rstrip("/"))
        except (ImportError, ValueError) as error:
            raise UserError(f"{url} cannot be opened: {error}") from error
        self.url, self.cache, self.limit_bytes = url.rstrip("/"), cache or default_cache(), limit_bytes
        self.cache.mkdir(parents=True, exist_ok=True)
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="stylefx-fetch")
        self._asked: set[str] = set()
        self._lock = threading.Lock()

    def __str__(self) -> str:
        return self.url

    def exists(self, name: str) -> bool:
        return with_retries(f"{self.url}/{name}", lambda: self._fs.exists(f"{self._root}/{name}"))

    def text(self, name: str) -> str:
        """A small file, not cached."""
        return with_retries(f"{self.url}/{name}", lambda: self._fs.cat_file(f"{self._root}/{name}")).decode()

    def path(self, name: str, sha256: str | None = None) -> Path:
        """A local copy. DamageError names a file whose checksum stays wrong; IncompleteError one that cannot be fetched."""
        key = sha256 or hashlib.sha256(f"{self.url}/{name}".encode()).hexdigest()
        local = self.cache / key
        if not self._used(local):
            with self._only_one(key):
                if not self._used(local):
                    self._fetch(name, sha256, local)
            self._evict(keep=local)
        return local

    def prefetch(self, files: list[tuple[str, str | None]]) -> None:
        """Start fetching in the background; what goes wrong there is met again, and raised, by ``path``."""
        with self._lock:
            new = [f for f in files if f[0] not in self._asked]
            self._asked = {f[0] for f in files}
        for name, sha256 in new:
            self._pool.submit(self.path, name, sha256)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    @staticmethod
    def _used(path: Path) -> bool:
        """Whether it is there; marks it as used now."""
        try:
            os.utime(path)
        except FileNotFoundError:
            return False
        return True

    @contextmanager
    def _only_one(self, key: str) -> Iterator[None]:
        """Lock among the node's threads and processes."""
        with open(self.cache / f".{key}.lock", "w") as f:
            fcntl.flock(f, fcntl.LOCK_EX)
            yield

    def _fetch(self, name: str, sha256: str | None, local: Path) -> None:
        temporary = local.with_name(f".{local.name}.part")
        for last in (False, True):
            got = with_retries(f"{self.url}/{name}", lambda: self._copy(name, temporary))
            if sha256 is None or got == sha256:
                os.replace(temporary, local)
                return
            temporary.unlink()
            if last:
                raise DamageError(
                    f"{self.url}/{name} is damaged: its checksum is {got[:12]}..., the index says {sha256[:12]}...; "
                    "run stylefx-pipe verify and build that shard again"
                )

    def _copy(self, name: str, temporary: Path) -> str:
        """Copy to a local file; returns the sha256 of what arrived."""
        digest = hashlib.sha256()
        with self._fs.open(f"{self._root}/{name}", "rb") as source, open(temporary, "wb") as target:
            while chunk := source.read(_CHUNK):
                digest.update(chunk)
                target.write(chunk)
        return digest.hexdigest()

    def _evict(self, keep: Path) -> None:
        """Remove what was used longest ago until the cache is within its limit. Open files stay readable."""
        with self._only_one("evict"):
            files: list[tuple[float, int, Path]] = []
            for path in self.cache.iterdir():
                if not path.name.startswith("."):
                    status = path.stat()
                    files.append((status.st_mtime, status.st_size, path))
            excess = sum(size for _, size, _ in files) - self.limit_bytes
            for used, size, path in sorted(files):
                if excess <= 0:
                    break
                if path != keep and time.time() - used > _IN_FLIGHT_S:
                    path.unlink(missing_ok=True)
                    (self.cache / f".{path.name}.lock").unlink(missing_ok=True)
                    excess -= size


def is_url(path: Any) -> bool:
    return "://" in str(path)
