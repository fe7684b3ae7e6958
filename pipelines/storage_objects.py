"""Corpora in object stores, and patience with servers that are away for a while."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from pipelines.storage import Storage, explained, patiently, redact, safe_uri
from stylefx.errors import UserError

T = TypeVar("T")


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
        try:
            import fsspec

            options: dict[str, Any] = {"use_listings_cache": False}
            if self.where.startswith("s3://"):
                options |= {"default_cache_type": "none", "skip_instance_cache": False}
            self._fs, self._prefix = fsspec.core.url_to_fs(self.where, **options)
            self._prefix = self._prefix.rstrip("/")
        except (ImportError, ValueError) as error:
            cure = "pip install 'stylefx[s3]'" if self.where.startswith("s3://") else "install its fsspec driver"
            raise UserError(f"cannot open {self.where}: {redact(str(error))}; {cure}") from error

    def __reduce__(self):
        return (ObjectStorage, (self.where,))

    def _key(self, name: str) -> str:
        return f"{self._prefix}/{name}" if name else self._prefix

    def _patiently(self, what: str, call: Callable[[], T], missing: T | None = None, absent_ok: bool = False) -> T:
        try:
            return patiently(self.where, what, call)
        except FileNotFoundError:
            if absent_ok:
                return missing  # type: ignore[return-value]
            raise

    def list(self, prefix: str = "") -> dict[str, int]:
        base = self._key(prefix.strip("/"))

        def call() -> dict[str, int]:
            self._fs.invalidate_cache()
            return {path: int(info["size"] or 0) for path, info in self._fs.find(base, detail=True).items()}

        found = self._patiently("list", call, {}, absent_ok=True)
        start = len(self._prefix) + 1
        return {path.lstrip("/")[start:] if not path.startswith(self._prefix) else path[start:]: n for path, n in found.items()}

    def read(self, name: str, start: int | None = None, end: int | None = None) -> bytes:
        return self._patiently(f"read {name}", lambda: self._fs.cat_file(self._key(name), start=start, end=end))

    def write(self, name: str, data: bytes) -> None:
        # a chunk size above the object's keeps it one PUT (S3 takes 5 GB in one)
        options = {"chunksize": max(len(data) + 1, 50 << 20)} if self.where.startswith("s3://") else {}
        self._patiently(f"write {name}", lambda: self._fs.pipe_file(self._key(name), data, **options))

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

    def delete(self, name: str) -> None:
        self._patiently(f"delete {name}", lambda: self._fs.rm_file(self._key(name)), absent_ok=True)

    def exists(self, name: str) -> bool:
        return bool(self._patiently(f"look up {name}", lambda: self._fs.isfile(self._key(name))))
