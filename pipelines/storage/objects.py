"""Corpora in object stores."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from pipelines.storage.base import Storage
from stylefx.errors import UserError
from stylefx.extras import install_line
from stylefx.files.address import redact, safe_uri
from stylefx.files.atomic import write_whole, write_with_card
from stylefx.files.patience import with_patience
from stylefx.files.sentences import explained

T = TypeVar("T")

_whole: set[tuple[str, int, int]] = set()  # (path, bytes, time) of copies that this process has checked


def _card(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _is_whole(path: Path) -> bool:
    """Whether a copy is what was fetched; one that a power cut has damaged is fetched again."""
    try:
        status = path.stat()
        key = (str(path), status.st_size, status.st_mtime_ns)
        if key not in _whole:
            with open(path, "rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != _card(path).read_text():
                    return False
            _whole.add(key)
    except (OSError, ValueError):
        return False
    return True


class ObjectStorage(Storage):
    """A prefix in an object store, through fsspec (``s3://bucket/prefix``, ``memory://...``).

    Credentials and endpoint come from the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_ENDPOINT_URL, ...),
    never from the address. A server that is away is waited for, two minutes at most.
    """

    remote = True

    def __init__(self, uri: str):
        if "@" in uri.split("://", 1)[1].split("/", 1)[0]:
            raise UserError(
                f"the address {safe_uri(uri)} contains credentials; give them in the environment (AWS_ACCESS_KEY_ID, ...) instead"
            )
        self.where = safe_uri(uri).rstrip("/")
        self._fs: Any = None
        self._prefix = ""
        self._connect()

    def _connect(self) -> None:
        import fsspec

        try:
            options: dict[str, Any] = {"use_listings_cache": False}
            if self.where.startswith("s3://"):
                options |= {"default_cache_type": "none", "skip_instance_cache": False}
            self._fs, self._prefix = fsspec.core.url_to_fs(self.where, **options)
            self._prefix = self._prefix.rstrip("/")
        except (ImportError, ValueError) as error:
            cure = install_line("s3") if self.where.startswith("s3://") else "install its fsspec driver"
            raise UserError(f"cannot open {self.where}: {redact(str(error))}; {cure}") from error

    def __reduce__(self) -> tuple[type[ObjectStorage], tuple[str]]:
        return (ObjectStorage, (self.where,))

    def _key(self, name: str) -> str:
        return f"{self._prefix}/{name}" if name else self._prefix

    def _asked(self, what: str, call: Callable[[], T], missing: T | None = None, absent_ok: bool = False) -> T:
        try:
            return with_patience(self.where, what, call)
        except FileNotFoundError:
            if absent_ok:
                return missing  # type: ignore[return-value]
            raise

    def list(self, prefix: str = "") -> dict[str, int]:
        base = self._key(prefix.strip("/"))

        def call() -> dict[str, int]:
            self._fs.invalidate_cache()
            return {path: int(info["size"] or 0) for path, info in self._fs.find(base, detail=True).items()}

        found: dict[str, int] = self._asked("list", call, {}, absent_ok=True)
        start = len(self._prefix) + 1
        return {path.lstrip("/")[start:] if not path.startswith(self._prefix) else path[start:]: n for path, n in found.items()}

    def read(self, name: str, start: int | None = None, end: int | None = None) -> bytes:
        data: bytes = self._asked(f"read {name}", lambda: self._fs.cat_file(self._key(name), start=start, end=end))
        return data

    def write(self, name: str, data: bytes) -> None:
        # a chunk size above the object's keeps it one PUT (S3 takes 5 GB in one)
        options = {"chunksize": max(len(data) + 1, 50 << 20)} if self.where.startswith("s3://") else {}
        self._asked(f"write {name}", lambda: self._fs.pipe_file(self._key(name), data, **options))

    def publish(self, temporary: Path, name: str) -> None:
        with explained(str(temporary.parent), temporary.name):
            data = temporary.read_bytes()
        self.write(name, data)
        temporary.unlink(missing_ok=True)

    def scratch(self, builder: str) -> Path:
        folder = Path(tempfile.gettempdir()) / f"stylefx-{os.getuid() if hasattr(os, 'getuid') else 0}" / builder
        with explained(str(folder), "temporary files"):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return folder

    def local_path(self, name: str) -> Path:
        return self.scratch("copies") / f"{self._digest}-{name.replace('/', '-')}"

    def local_copy(self, name: str, version: str = "") -> Path:
        path = self.local_path(f"{version}-{name}" if version else name)
        if version and _is_whole(path):
            return path
        if not version:
            path.unlink(missing_ok=True)  # one of a corpus that was at this address before
        data = self.read(name)
        with explained(str(path.parent), path.name):
            if version:
                write_with_card(path, data, _card(path), hashlib.sha256(data).hexdigest().encode())
            else:
                write_whole(path, data)
        return path

    def keep(self, name: str) -> None:
        self.write(name, self.local_path(name).read_bytes())

    @property
    def _digest(self) -> str:
        """Keeps the local copies of two corpora apart: equal plans may have other roots."""
        return hashlib.sha256(self.where.encode()).hexdigest()[:16]

    def delete(self, name: str) -> None:
        self._asked(f"delete {name}", lambda: self._fs.rm_file(self._key(name)), absent_ok=True)

    def exists(self, name: str) -> bool:
        return bool(self._asked(f"look up {name}", lambda: self._fs.isfile(self._key(name))))
