"""Local folders and object stores behind the same few functions; fsspec is imported only for URLs."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, BinaryIO

from pipelines.sources.uris import SCHEME
from stylefx.errors import SourceError
from stylefx.extras import install_line
from stylefx.files.address import is_url
from stylefx.files.patience import with_patience

_REQUESTS = 32


def filesystem(uri: str) -> tuple[Any, str]:
    """The fsspec file system of a URL and the path in it."""
    import fsspec

    try:
        fs, path = fsspec.core.url_to_fs(uri)
    except (ImportError, ValueError) as error:
        raise SourceError(f"cannot open {uri}: {error}; install what fsspec needs for it, of S3: {install_line('s3')}") from error
    return fs, path


def list_remote(root: str, source: str) -> Iterator[tuple[str, int, int]]:
    """(relative path with '/', bytes, mtime in ns) of all objects below an address, sorted."""
    fs, path = filesystem(root)
    base = path.rstrip("/")

    def find() -> dict[str, Any]:
        return fs.find(base, detail=True) if fs.exists(base) else {}

    listing = with_patience(f"source {source}", f"list {root}", find)
    if not listing:
        raise SourceError(f"source {source}: there is nothing at {root}; check the address and the credentials")
    for name in sorted(listing):
        info = listing[name]
        yield name[len(base) :].lstrip("/"), int(info.get("size") or 0), _mtime_ns(info)


def _mtime_ns(info: dict[str, Any]) -> int:
    """Modification time in ns, or a number derived from the object's tag; 0 where the store says neither."""
    for key in ("mtime", "LastModified", "last_modified", "created"):
        value = info.get(key)
        if isinstance(value, (int, float)):
            return int(value * 1e9)
        if value is not None and hasattr(value, "timestamp"):
            return int(value.timestamp() * 1e9)
    return 0


def stat_uri(uri: str) -> tuple[int, int, str]:
    """(bytes, mtime in ns, problem); the problem says why it cannot be opened, or is empty."""
    try:
        if uri.startswith(SCHEME):  # the plug-in's own check says whether it can be reached
            return 0, 0, ""
        if is_url(uri):
            fs, path = filesystem(uri)
            info = with_patience("the source", f"say how large {uri} is", lambda: fs.info(path))
            return int(info.get("size") or 0), _mtime_ns(info), ""
        stat = os.stat(uri)
        return stat.st_size, stat.st_mtime_ns, ""
    except FileNotFoundError:
        return 0, 0, "no such file"
    except (OSError, ValueError) as error:
        return 0, 0, f"cannot be opened: {getattr(error, 'strerror', None) or error}"


def stat_many(uris: Iterable[str]) -> Iterator[tuple[int, int, str]]:
    """``stat_uri`` of each, in order; many requests to a server are under way at a time."""
    uris = iter(uris)
    with ThreadPoolExecutor(_REQUESTS) as pool:
        while batch := list(itertools.islice(uris, 64 * _REQUESTS)):
            if any(map(is_url, batch)):
                yield from pool.map(stat_uri, batch)
            else:
                yield from map(stat_uri, batch)


def open_file(uri: str) -> BinaryIO:
    """A seekable binary file."""
    if is_url(uri):
        fs, path = filesystem(uri)
        file: BinaryIO = with_patience("the source", f"open {uri}", lambda: fs.open(path, "rb"))
        return file
    return open(uri, "rb")
