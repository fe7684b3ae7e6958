"""A corpus behind a URL: files are fetched whole into a bounded local cache that all processes of a node share.

The cache is addressed by content: a file's name in it is its sha256, checked on arrival. One of the node's processes fetches
a file while the others wait.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from stylefx.errors import DamageError, UserError
from stylefx.files.cache import Cache, cache_folder
from stylefx.files.mounts import network_mount
from stylefx.files.patience import with_patience
from stylefx.files.sentences import explained

_SPARE_S = 60.0
T = TypeVar("T")


_JOBS = ("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "JOB_ID", "FLUX_JOB_ID")  # what schedulers set in a job


def default_cache() -> Path:
    """Where shards are kept when the configuration names no folder: in STYLEFX_CACHE, else in a cluster's job in the space
    that the scheduler gave it on its node (homes are on a network there), else in the user's cache folder."""
    if not os.environ.get("STYLEFX_CACHE"):
        in_job = any(os.environ.get(name) for name in _JOBS)
        local = os.environ.get("SLURM_TMPDIR") or (os.environ.get("TMPDIR") if in_job else None)
        if local:
            return Path(local) / "stylefx" / "shards"
    return cache_folder() / "shards"


class RemoteStore:
    """Files of a corpus under ``url`` (anything fsspec reads), kept in ``cache``, at most ``limit_bytes`` of them."""

    def __init__(self, url: str, cache: Path | None = None, limit_bytes: int = 50 * 10**9):
        import fsspec

        try:
            self._fs, self._root = fsspec.core.url_to_fs(url.rstrip("/"))
        except (ImportError, ValueError) as error:
            raise UserError(f"{url} cannot be opened: {error}") from error
        self.url, self.cache = url.rstrip("/"), Cache(cache or default_cache(), limit_bytes, spare_s=_SPARE_S)
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="stylefx-fetch")
        self._asked: set[str] = set()
        self._refused: dict[str, DamageError] = {}
        self._lock = threading.Lock()

    def __str__(self) -> str:
        return self.url

    def __reduce__(self) -> tuple[Any, ...]:
        return RemoteStore, (self.url, self.cache.folder, self.cache.limit_bytes)

    @property
    def limit_bytes(self) -> int | None:
        """Of the cache."""
        return self.cache.limit_bytes

    def find_text(self, name: str) -> str | None:
        """A small file, not cached; None where the store has none of that name.

        It is asked for and not looked up: some clients answer that nothing exists on a server that is away.
        """
        try:
            data: bytes = with_patience(self.url, f"give {name}", lambda: self._fs.cat_file(f"{self._root}/{name}"))
        except FileNotFoundError:
            return None
        return data.decode()

    def text(self, name: str) -> str:
        """Like ``find_text``; UserError where the store has none."""
        found = self.find_text(name)
        if found is None:
            raise UserError(f"{self.url}/{name} cannot be read: there is no such file")
        return found

    def data(self, name: str, sha256: str) -> bytes:
        """A file that is read once and not kept, unless it is kept already; DamageError when its checksum stays wrong."""
        found = self.cache.find(sha256)
        if found is not None and hashlib.sha256(data := found.read_bytes()).hexdigest() == sha256:
            return data
        for _ in range(2):
            data = bytes(self._asked_for(name, lambda: self._fs.cat_file(f"{self._root}/{name}")))
            if hashlib.sha256(data).hexdigest() == sha256:
                return data
        raise self._damaged(name, hashlib.sha256(data).hexdigest(), sha256)

    def path(self, name: str, sha256: str | None = None) -> Path:
        """A local copy. DamageError names a file whose checksum stays wrong; IncompleteError one that cannot be fetched."""
        if name in self._refused:
            raise self._refused[name]
        key = sha256 or hashlib.sha256(f"{self.url}/{name}".encode()).hexdigest()
        local = self.cache.find(key)
        if local is None:
            with explained(str(self.cache.folder), name):
                local = self.cache.fill(key, lambda part: self._fetch(name, sha256, part))
                assert local is not None  # as it waits for another process that fills it
                self.cache.make_room(keep=local)
        return local

    def renew(self, name: str, sha256: str) -> bool:
        """After a reader met damage: whether the local copy was the damaged one. It is removed then, and fetched anew when next
        asked for; where it is as it arrived, the corpus itself is damaged."""
        local = self.cache.path(sha256)
        with self.cache.only_one(sha256):
            try:
                with open(local, "rb") as file:
                    sound = hashlib.file_digest(file, "sha256").hexdigest() == sha256
            except FileNotFoundError:  # another process met it too
                return True
            except OSError:
                sound = False
            if not sound:
                local.unlink(missing_ok=True)
        return not sound

    def prefetch(self, files: list[tuple[str, str | None]]) -> None:
        """Start fetching in the background; what goes wrong there is met again, and raised, by ``path``."""
        with self._lock:
            new = [f for f in files if f[0] not in self._asked]
            self._asked = {f[0] for f in files}
        for name, sha256 in new:
            self._pool.submit(self.path, name, sha256)

    def warning(self) -> str | None:
        """What is wrong with where the copies are kept, in a sentence."""
        kind = network_mount(self.cache.folder)
        if kind is None:
            return None
        return (
            f"the copies of remote shards are kept in {self.cache.folder}, which is itself on a network ({kind}); "
            "set data.cache_dir or STYLEFX_CACHE to a disk of this machine"
        )

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _asked_for(self, name: str, call: Callable[[], T]) -> T:
        """The answer to a request, with patience; UserError for a file that is not there."""
        try:
            return with_patience(self.url, f"give {name}", call)
        except FileNotFoundError as error:
            raise UserError(f"{self.url}/{name} cannot be read: {error or type(error).__name__}") from error

    def _fetch(self, name: str, sha256: str | None, part: Path) -> None:
        for last in (False, True):
            got = self._asked_for(name, lambda: self._copy(name, part))
            if sha256 is None or got == sha256:
                return
            if last:
                self._refused[name] = self._damaged(name, got, sha256)  # so that its other samples do not fetch it again
                raise self._refused[name]

    def _damaged(self, name: str, got: str, listed: str) -> DamageError:
        return DamageError(
            f"{self.url}/{name} is damaged: its checksum is {got[:12]}..., the index says {listed[:12]}...; "
            "run stylefx-pipe verify and build that shard again"
        )

    def _copy(self, name: str, part: Path) -> str:
        """Copy to a local file, in one request: not every server gives parts. Returns the sha256 of what arrived."""
        with explained(str(self.cache.folder), name, fetched=True):
            self._fs.get_file(f"{self._root}/{name}", str(part))
        with open(part, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
