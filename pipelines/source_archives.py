"""Tar and zip archives, local or remote, read in place; compressed tars are unpacked once into a cache.

Member names come from strangers: absolute paths, ``..``, links, devices, duplicates and control characters are refused,
and total size, count and compression ratio are limited before anything is unpacked.
"""

from __future__ import annotations

import bz2
import errno
import functools
import gzip
import io
import json
import lzma
import math
import os
import shutil
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from pipelines.manifest import Limits
from pipelines.source_files import MEMBER_MARK, open_file, stat_uri
from pipelines.source_lists import plain_columns
from stylefx.errors import UserError
from stylefx.keyed import hex_digest

MAX_MEMBERS = 10_000_000
_TARS, _PACKED, _ZIPS = (".tar",), (".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz"), (".zip",)
_MAX_JSON = 1 << 20
#: what the readers of archives raise for bytes that are not what they should be
_DAMAGE = (
    tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error,
    EOFError, NotImplementedError, RuntimeError, ValueError, OverflowError,
)  # fmt: skip
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Member:
    """``offset`` is where the data lies in the (unpacked) tar; -1 in a zip. ``columns`` come from KEY.json beside it."""

    name: str
    size: int
    mtime_ns: int
    offset: int
    columns: Mapping[str, str] = field(default_factory=dict)


def is_archive(path: str) -> bool:
    return path.lower().endswith(_TARS + _PACKED + _ZIPS)


def list_members(uri: str, source: str, limits: Limits) -> list[Member]:
    """The regular files of an archive, sorted by name. UserError for what is damaged, too large or not safe."""
    return sorted(_index(uri, source, limits.archive_gb, limits.archive_ratio).values(), key=lambda m: m.name)


@contextmanager
def open_member(uri: str, name: str) -> Iterator[BinaryIO]:
    """A seekable file with one member's bytes (the limits were applied when the archive was scanned)."""
    members = _index(uri, "", math.inf, math.inf)
    if name not in members:
        raise UserError(f"{uri} has no member {name!r}; scan it again if it changed")
    member = members[name]
    with open_file(_plain_tar(uri, math.inf, math.inf)) as file:
        if member.offset >= 0:
            yield io.BufferedReader(_Window(file, member.offset, member.size))
            return
        with zipfile.ZipFile(file) as archive:
            with _explained(f"{uri}{MEMBER_MARK}{name}"):
                data = archive.read(name)
        yield io.BytesIO(data)


class _Window(io.RawIOBase):
    """A stretch of an open file as a file of its own."""

    def __init__(self, file: BinaryIO, start: int, size: int):
        self._file, self._start, self._size, self._at = file, start, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = max(0, offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence])
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer) -> int:
        self._file.seek(self._start + self._at)
        data = self._file.read(min(len(buffer), max(0, self._size - self._at)))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


@functools.lru_cache(maxsize=64)
def _index(uri: str, source: str, max_gb: float, max_ratio: float) -> dict[str, Member]:
    where = f"source {source}: {uri}" if source else uri
    try:
        with _explained(where), open_file(_plain_tar(uri, max_gb, max_ratio)) as file:
            read = _index_zip if uri.lower().endswith(_ZIPS) else _index_tar
            return read(file, where, max_gb, max_ratio)
    except OSError as error:
        raise UserError(f"{where} cannot be read: {error.strerror or error}") from error


@contextmanager
def _explained(where: str) -> Iterator[None]:
    """One sentence for damaged archives. An OSError is damage where it is no system's: a decompressor's or a wild seek's."""
    try:
        yield
    except (*_DAMAGE, OSError) as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise
        raise UserError(f"{where} is damaged or no archive: {error}") from error


def _index_tar(file: BinaryIO, where: str, max_gb: float, max_ratio: float) -> dict[str, Member]:
    members: dict[str, Member] = {}
    texts: dict[str, dict[str, str]] = {}
    total = 0
    with tarfile.open(fileobj=file, mode="r:") as archive:
        for info in archive:
            archive.members = []  # tarfile keeps every header otherwise
            if not info.isreg():
                continue
            total = _account(info.name, members, total + info.size, where, max_gb)
            members[info.name] = Member(info.name, info.size, int(info.mtime * 1e9), info.offset_data)
            if info.name.endswith(".json") and info.size <= _MAX_JSON:
                texts[_stem(info.name)] = _columns(archive.extractfile(info).read())
    return _with_columns(members, texts)


def _index_zip(file: BinaryIO, where: str, max_gb: float, max_ratio: float) -> dict[str, Member]:
    members: dict[str, Member] = {}
    texts: dict[str, dict[str, str]] = {}
    total = 0
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            if info.is_dir():
                continue
            total = _account(info.filename, members, total + info.file_size, where, max_gb)
            if info.file_size > max(_CHUNK, max_ratio * info.compress_size):
                raise UserError(f"{where}: {info.filename!r} would unpack to more than {max_ratio:g} times its size; refused")
            seconds = int("".join(f"{part:02d}" for part in info.date_time))  # no time zone in a zip: any stable number
            members[info.filename] = Member(info.filename, info.file_size, seconds, -1)
            if info.filename.endswith(".json") and info.file_size <= _MAX_JSON:
                texts[_stem(info.filename)] = _columns(archive.read(info))
    return _with_columns(members, texts)


def _account(name: str, members: dict, total: int, where: str, max_gb: float) -> int:
    """Check a member's name and the running total."""
    if name.startswith(("/", "\\")) or ".." in name.replace("\\", "/").split("/") or name[1:2] == ":":
        raise UserError(f"{where}: member {name!r} points outside the archive; refused")
    if not name or MEMBER_MARK in name or any(ord(c) < 32 for c in name):
        raise UserError(f"{where}: member {name!r} has a name that cannot be used; repack the archive")
    if name in members:
        raise UserError(f"{where}: member {name!r} is there twice; repack the archive")
    if len(members) >= MAX_MEMBERS:
        raise UserError(f"{where} has more than {MAX_MEMBERS} members; split it")
    if total > max_gb * 2**30:
        raise UserError(f"{where} holds more than {max_gb:g} GB; raise limits.archive_gb if you trust it")
    return total


def _stem(name: str) -> str:
    """WebDataset's key: the name up to the first dot of its last part."""
    folder, slash, base = name.rpartition("/")
    return folder + slash + base.split(".", 1)[0]


def _columns(data: bytes) -> dict[str, str]:
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return plain_columns(content) if isinstance(content, dict) else {}


def _with_columns(members: dict[str, Member], texts: dict[str, dict[str, str]]) -> dict[str, Member]:
    if not texts:
        return members
    return {n: Member(m.name, m.size, m.mtime_ns, m.offset, texts.get(_stem(n), {})) for n, m in members.items()}


def cache_folder() -> Path:
    """Where compressed tars are unpacked: STYLEFX_CACHE, or the user's cache folder."""
    base = os.environ.get("STYLEFX_CACHE") or os.path.join(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "stylefx")
    return Path(base).expanduser()


@functools.lru_cache(maxsize=64)
def _plain_tar(uri: str, max_gb: float, max_ratio: float) -> str:
    """The uri itself, or for a compressed tar the path of its unpacked copy in the cache."""
    lower = uri.lower()
    if not lower.endswith(_PACKED):
        return uri
    size, mtime_ns, problem = stat_uri(uri)
    if problem:
        raise UserError(f"{uri}: {problem}")
    folder = cache_folder() / "archives"
    target = folder / f"{hex_digest(uri, size, mtime_ns)}.tar"
    if not target.exists():
        folder.mkdir(parents=True, exist_ok=True)
        _decompress(uri, target, min(max_gb * 2**30, max(max_ratio * size, 2**26)))
    return str(target)


def _decompress(uri: str, target: Path, max_bytes: float) -> None:
    lower = uri.lower()
    opener = gzip.open if lower.endswith(("gz", "tgz")) else bz2.open if lower.endswith("bz2") else lzma.open
    handle, part = tempfile.mkstemp(dir=target.parent, suffix=".part")
    try:
        with _explained(uri), open_file(uri) as packed, opener(packed, "rb") as unpacked, os.fdopen(handle, "wb") as out:
            written = 0
            while block := unpacked.read(_CHUNK):
                written += len(block)
                if written > max_bytes:
                    raise UserError(
                        f"{uri} unpacks to more than {max_bytes / 2**30:.1f} GB; raise limits.archive_gb if you trust it"
                    )
                if shutil.disk_usage(target.parent).free < 2**28:
                    raise UserError(f"the disk of {target.parent} is full; set STYLEFX_CACHE to a larger one")
                out.write(block)
        os.replace(part, target)
    finally:
        if os.path.exists(part):
            os.unlink(part)
