"""Tar and zip archives, local or remote, read in place; compressed tars and tables of audio are unpacked once into a cache.

Member names come from strangers: absolute paths, ``..``, links, devices, duplicates and control characters are refused,
and total size, count and compression ratio are limited before anything is unpacked.
"""

from __future__ import annotations

import bz2
import errno
import functools
import gzip
import io
import lzma
import math
import os
import shutil
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from pipelines.manifest.model import Limits
from pipelines.sources.files import open_file, stat_uri
from pipelines.sources.listed.columns import add_text, is_text, stem
from pipelines.sources.listed.tables import unpack_table
from pipelines.sources.uris import MEMBER_MARK, PACKED_TARS, ZIPS, is_table, readable_name, split_member
from stylefx.errors import SourceError, UserError
from stylefx.files.cache import Cache, cache_folder
from stylefx.files.spans import Spans
from stylefx.keyed import hex_digest

MAX_MEMBERS = 10_000_000


_MAX_JSON = 1 << 20


_BLOCK = 512


#: what the readers of archives raise for bytes that are not what they should be
_DAMAGE = (
    tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error,
    EOFError, NotImplementedError, RuntimeError, ValueError, OverflowError,
)  # fmt: skip


_CHUNK = 1 << 20


@dataclass(frozen=True)
class ArchiveMember:
    """``offset`` is where the data lies in the (unpacked) tar; -1 in a zip. ``columns`` come from KEY.json beside it."""

    name: str
    size: int
    mtime_ns: int
    offset: int
    columns: Mapping[str, str] = field(default_factory=dict)


def list_members(uri: str, source: str, limits: Limits) -> tuple[list[ArchiveMember], str]:
    """The regular files of an archive, sorted by name, and what is wrong with it: a tar that was cut gives its whole members.

    SourceError for what holds none, is too large or not safe.
    """
    members, damage = _index(uri, source, limits.archive_gb, limits.archive_ratio)
    return sorted(members.values(), key=lambda m: m.name), damage


@contextmanager
def open_member(uri: str, name: str) -> Iterator[BinaryIO]:
    """A seekable file with one member's bytes (the limits were applied when the archive was scanned)."""
    members = _index(uri, "", math.inf, math.inf)[0]
    if name not in members:
        raise SourceError(f"{uri} has no member {name!r}; scan it again if it changed")
    member = members[name]
    with open_file(_plain_tar(uri, math.inf, math.inf)) as file:
        if member.offset >= 0:
            yield io.BufferedReader(Spans(file, [(member.offset, member.offset + member.size)]))
            return
        with zipfile.ZipFile(file) as archive:
            with _explained(f"{uri}{MEMBER_MARK}{name}"):
                data = archive.read(name)
        yield io.BytesIO(data)


@functools.lru_cache(maxsize=64)
def _index(uri: str, source: str, max_gb: float, max_ratio: float) -> tuple[dict[str, ArchiveMember], str]:
    where = f"source {source}: {uri}" if source else uri
    try:
        with _explained(where), open_file(_plain_tar(uri, max_gb, max_ratio)) as file:
            read = _index_zip if uri.lower().endswith(ZIPS) else _index_tar
            return read(file, where, max_gb, max_ratio)
    except OSError as error:
        raise SourceError(f"{where} cannot be read: {error.strerror or error}") from error


@contextmanager
def _explained(where: str) -> Iterator[None]:
    """One sentence for damaged archives. An OSError is damage where it is no system's: a decompressor's or a wild seek's."""
    try:
        yield
    except (*_DAMAGE, OSError) as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise
        raise SourceError(f"{where} is damaged or no archive: {error}") from error


def _index_tar(file: BinaryIO, where: str, max_gb: float, max_ratio: float) -> tuple[dict[str, ArchiveMember], str]:
    members: dict[str, ArchiveMember] = {}
    texts: dict[str, dict[str, str]] = {}
    total, damage = 0, ""
    end = file.seek(0, os.SEEK_END)
    file.seek(0)
    with tarfile.open(fileobj=file, mode="r:") as archive:
        try:
            for info in archive:
                archive.members = []  # type: ignore[attr-defined]  # tarfile keeps every header otherwise
                if not info.isreg() or info.offset_data + info.size > end:
                    continue
                if (shown := readable_name(info.name)) != info.name:
                    damage = f"the name of its member {shown} is not UTF-8; repack the archive"
                    continue
                total = _account(info.name, members, total + info.size, where, max_gb)
                members[info.name] = ArchiveMember(info.name, info.size, int(info.mtime * 1e9), info.offset_data)
                if is_text(info.name) and info.size <= _MAX_JSON and (text := archive.extractfile(info)):
                    add_text(texts, info.name, text.read())
            damage = _broken_header(file, archive.offset) or damage
        except tarfile.TarError as error:
            if not members:
                raise
            damage = str(error)
    return _with_columns(members, texts), damage


def _broken_header(file: BinaryIO, offset: int) -> str:
    """tarfile takes a header that it cannot read for the end; the end is blocks of zeros, or nothing."""
    file.seek(offset)
    block = file.read(_BLOCK)
    return f"the header at byte {offset} cannot be read" if block.strip(b"\0") else ""


def _index_zip(file: BinaryIO, where: str, max_gb: float, max_ratio: float) -> tuple[dict[str, ArchiveMember], str]:
    members: dict[str, ArchiveMember] = {}
    texts: dict[str, dict[str, str]] = {}
    total = 0
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            if info.filename.endswith("/"):  # a folder; ``is_dir`` trips over a name that is empty
                continue
            total = _account(info.filename, members, total + info.file_size, where, max_gb)
            if info.file_size > max(_CHUNK, max_ratio * info.compress_size):
                raise SourceError(f"{where}: {info.filename!r} would unpack to more than {max_ratio:g} times its size; refused")
            seconds = int("".join(f"{part:02d}" for part in info.date_time))  # no time zone in a zip: any stable number
            members[info.filename] = ArchiveMember(info.filename, info.file_size, seconds, -1)
            if is_text(info.filename) and info.file_size <= _MAX_JSON:
                add_text(texts, info.filename, archive.read(info))
    return _with_columns(members, texts), ""


def _account(name: str, members: dict[str, Any], total: int, where: str, max_gb: float) -> int:
    """Check a member's name and the running total."""
    if name.startswith(("/", "\\")) or ".." in name.replace("\\", "/").split("/") or name[1:2] == ":":
        raise SourceError(f"{where}: member {name!r} points outside the archive; refused")
    if not name or split_member(name)[1] or any(ord(c) < 32 for c in name):
        raise SourceError(f"{where}: member {name!r} has a name that cannot be used; repack the archive")
    if name in members:
        raise SourceError(f"{where}: member {name!r} is there twice; repack the archive")
    if len(members) >= MAX_MEMBERS:
        raise SourceError(f"{where} has more than {MAX_MEMBERS} members; split it")
    if total > max_gb * 2**30:
        raise SourceError(f"{where} holds more than {max_gb:g} GB; raise limits.archive_gb if you trust it")
    return total


def _with_columns(members: dict[str, ArchiveMember], texts: dict[str, dict[str, str]]) -> dict[str, ArchiveMember]:
    if not texts:
        return members
    return {n: ArchiveMember(m.name, m.size, m.mtime_ns, m.offset, texts.get(stem(n), {})) for n, m in members.items()}


@functools.lru_cache(maxsize=64)
def _plain_tar(uri: str, max_gb: float, max_ratio: float) -> str:
    """The uri itself, or for a compressed tar or a table of audio the path of its unpacked copy in the cache."""
    if not uri.lower().endswith(PACKED_TARS) and not is_table(uri):
        return uri
    size, mtime_ns, problem = stat_uri(uri)
    if problem:
        raise SourceError(f"{uri}: {problem}")
    most_bytes = min(max_gb * 2**30, max(max_ratio * size, 2**26))
    cache = Cache(cache_folder() / "archives", limit_bytes=None)  # a build needs all of its archives, to its end
    unpack = unpack_table if is_table(uri) else _decompress
    with _explained(uri):
        return str(cache.fill(f"{hex_digest(uri, size, mtime_ns)}.tar", lambda part: unpack(uri, part, most_bytes)))


def _decompress(uri: str, part: Path, max_bytes: float) -> None:
    lower = uri.lower()
    opener = gzip.open if lower.endswith(("gz", "tgz")) else bz2.open if lower.endswith("bz2") else lzma.open
    with open_file(uri) as packed, opener(packed, "rb") as unpacked, open(part, "wb") as out:
        written = 0
        while block := unpacked.read(_CHUNK):
            written += len(block)
            if written > max_bytes:
                raise SourceError(
                    f"{uri} unpacks to more than {max_bytes / 2**30:.1f} GB; raise limits.archive_gb if you trust it"
                )
            if shutil.disk_usage(part.parent).free < 2**28:
                raise UserError(f"the disk of {part.parent} is full; set STYLEFX_CACHE to a larger one")
            out.write(block)
