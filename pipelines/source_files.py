"""Local folders and object stores behind the same few functions; fsspec is imported only for URLs."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, BinaryIO

from pipelines.storage import patiently
from stylefx.errors import UserError

#: ``ARCHIVE!/MEMBER`` is a member of an archive
MEMBER_MARK = "!/"
_REQUESTS = 32
_GLOB = re.compile(r"[*?\[]")


def is_url(path: str) -> bool:
    return "://" in path


def join_uri(root: str, path: str) -> str:
    """Where a relative path lies; absolute paths and URLs stay, and below ``ARCHIVE!/`` are members."""
    if root.endswith(MEMBER_MARK):
        return root + path
    return path if is_url(path) or os.path.isabs(path) else f"{root.rstrip('/')}/{path}" if root else path


def absolute(path: str) -> str:
    """The same for workers that run in another folder."""
    return path if is_url(path) else os.path.abspath(path)


def split_glob(path: str) -> tuple[str, str]:
    """``data/2024-*/x.tar`` -> (``data``, ``2024-*/x.tar``); no glob: (path, "")."""
    if not _GLOB.search(path):
        return path, ""
    parts = path.split("/")
    first = next(i for i, p in enumerate(parts) if _GLOB.search(p))
    root = "/".join(parts[:first])
    return (root or ("/" if path.startswith("/") else ".")), "/".join(parts[first:])


def filesystem(uri: str) -> tuple[Any, str]:
    """The fsspec file system of a URL and the path in it."""
    import fsspec

    try:
        return fsspec.core.url_to_fs(uri)
    except (ImportError, ValueError) as error:
        raise UserError(f"cannot open {uri}: {error}; install what fsspec needs for it, such as stylefx[s3]") from error


def list_folder(root: str, source: str) -> Iterator[tuple[str, int, int]]:
    """(relative path with '/', bytes, mtime in ns) of all files below, sorted; links to folders are not followed."""
    if is_url(root):
        yield from _list_remote(root, source)
        return
    if not os.path.isdir(root):
        what = "is a file" if os.path.exists(root) else "does not exist"
        raise UserError(
            f"source {source}: {root!r} {what}; give a folder, a list (.csv, .tsv, .jsonl), an archive (.tar, .zip) or a URL"
        )
    yield from _walk(root, "")


def _walk(folder: str, prefix: str) -> Iterator[tuple[str, int, int]]:
    try:
        with os.scandir(folder) as scan:
            entries = sorted(scan, key=lambda e: e.name)
    except OSError as error:
        raise UserError(f"cannot list {folder}: {error.strerror or error}") from error
    for entry in entries:
        try:
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(entry.path, f"{prefix}{entry.name}/")
            elif entry.is_file():
                stat = entry.stat()
                yield f"{prefix}{entry.name}", stat.st_size, stat.st_mtime_ns
        except OSError:  # vanished meanwhile
            continue


def _list_remote(root: str, source: str) -> Iterator[tuple[str, int, int]]:
    fs, path = filesystem(root)
    base = path.rstrip("/")

    def find() -> dict:
        return fs.find(base, detail=True) if fs.exists(base) else {}

    listing = patiently(f"source {source}", f"list {root}", find)
    if not listing:
        raise UserError(f"source {source}: there is nothing at {root}; check the address and the credentials")
    for name in sorted(listing):
        info = listing[name]
        yield name[len(base) :].lstrip("/"), int(info.get("size") or 0), _mtime_ns(info)


def _mtime_ns(info: dict) -> int:
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
        if is_url(uri):
            fs, path = filesystem(uri)
            info = patiently("the source", f"say how large {uri} is", lambda: fs.info(path))
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
        return patiently("the source", f"open {uri}", lambda: fs.open(path, "rb"))
    return open(uri, "rb")
