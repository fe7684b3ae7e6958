"""Unpacking archives that strangers made: nothing leaves the folder, no links, no bombs."""

from __future__ import annotations

import os
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, cast

from stylefx.errors import DamageError, IncompleteError
from stylefx.files.atomic import temporary_file

_JUNK_FOLDERS = frozenset({"__MACOSX"})


@dataclass(frozen=True)
class UnpackLimits:
    """What an archive may become. Audio hardly shrinks, so honest archives stay far below."""

    files: int = 3_000_000
    ratio: float = 20.0
    allowance_bytes: int = 1 << 30  # for archives so small that the ratio says nothing
    file_bytes: int = 64 << 30

    def total_bytes(self, archive_bytes: int) -> int:
        return int(max(self.ratio * archive_bytes, self.allowance_bytes))


@dataclass(frozen=True)
class _Member:
    name: str
    size: int
    open: Callable[[], IO[bytes]]


def unpack(archive: Path, folder: Path, limits: UnpackLimits | None = None) -> int:
    """Unpack a .tar, .tar.gz or .zip below a folder; returns the number of files.

    Only plain files are written, each under a temporary name first; macOS's ._ twins are left out. DamageError for an
    archive that is broken, holds links, devices or paths that leave the folder, or is larger than the limits.
    """
    limits = limits or UnpackLimits()
    folder.mkdir(parents=True, exist_ok=True)
    root = folder.resolve()
    budget = limits.total_bytes(archive.stat().st_size)
    files = 0
    try:
        for member in _members(archive):
            target = _target(root, member.name, archive)
            if target is None:
                continue
            files += 1
            budget -= member.size
            if files > limits.files:
                raise DamageError(f"{archive} holds more than {limits.files} files; nothing more is unpacked")
            if budget < 0 or member.size > limits.file_bytes:
                raise DamageError(f"{archive} unpacks to more than {limits.ratio:g} times its size; nothing more is unpacked")
            _write(member, target)
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise DamageError(f"{archive} is damaged: {error}; delete it and fetch it again") from None
    return files


def _members(archive: Path) -> Iterator[_Member]:
    if zipfile.is_zipfile(archive):
        yield from _zip_members(archive)
    else:
        yield from _tar_members(archive)


def _zip_members(archive: Path) -> Iterator[_Member]:
    with zipfile.ZipFile(archive) as file:
        for info in file.infolist():
            kind = info.external_attr >> 16 & 0o170000
            if info.is_dir():
                continue
            if kind not in (0, 0o100000):
                raise DamageError(f"{archive} holds {info.filename!r}, which is not a plain file")
            yield _Member(info.filename, info.file_size, partial(file.open, info))


def _tar_members(archive: Path) -> Iterator[_Member]:
    with tarfile.open(archive, "r|*") as file:
        for info in file:
            if info.isdir():
                continue
            if not info.isreg():
                raise DamageError(f"{archive} holds {info.name!r}, which is not a plain file")
            yield _Member(info.name, info.size, partial(cast("Callable[[tarfile.TarInfo], IO[bytes]]", file.extractfile), info))


def _target(root: Path, name: str, archive: Path) -> Path | None:
    """Where a member goes; None for junk; DamageError where its name leaves the folder."""
    pure = PurePosixPath(name)
    unsafe = pure.is_absolute() or ".." in pure.parts or "\\" in name or "\0" in name or (os.name == "nt" and ":" in name)
    if unsafe or not pure.parts:
        raise DamageError(f"{archive} holds {name!r}, a path that leaves the folder; it is not unpacked")
    if pure.name.startswith("._") or pure.parts[0] in _JUNK_FOLDERS:
        return None
    target = root.joinpath(*pure.parts)
    parent = target.parent.resolve()
    if parent != root and root not in parent.parents:
        raise DamageError(f"{archive} holds {name!r}, which a link in {root} would lead out of it")
    return target


def _write(member: _Member, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with temporary_file(target, durable=False) as temporary:
            with member.open() as source, temporary.open("wb") as sink:
                shutil.copyfileobj(source, sink, 1 << 20)
            if temporary.stat().st_size != member.size:
                raise DamageError(f"{member.name} has another size than its archive says")
    except OSError as error:
        raise IncompleteError(f"{target} cannot be written: {error.strerror or error}; fetch again when it can") from None
