"""What a manifest's sources hold: recordings by relative path, and how each is opened.

A recording's URI is a local path or a URL that fsspec knows; ``ARCHIVE!/MEMBER`` is a member of a tar or zip. Its
identity is the source's name and its path relative to the source, so a collection can move without changing.
"""

from __future__ import annotations

import fnmatch
import hashlib
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import BinaryIO

from pipelines.manifest import Limits
from pipelines.manifest_sources import Rule, Source
from pipelines.source_archives import is_archive, list_members, open_member
from pipelines.source_files import MEMBER_MARK, absolute, is_url, join_uri, list_folder, open_file, split_glob, stat_many
from pipelines.source_lists import is_list, read_list

#: what counts as a recording, by its name
AUDIO_SUFFIXES = frozenset(
    (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".aifc", ".caf", ".au", ".w64", ".g722")
)


@dataclass(frozen=True)
class Found:
    """One recording before it is decoded. ``problem`` is set where it can be named but not read."""

    source: str
    path: str
    uri: str
    size: int
    mtime_ns: int
    group: str
    label: str
    licence: str
    attribution: str
    problem: str = ""

    @property
    def identity(self) -> str:
        return f"{self.source}/{self.path}"


@dataclass(frozen=True)
class _Entry:
    path: str
    uri: str
    size: int
    mtime_ns: int
    columns: Mapping[str, str] = field(default_factory=dict)
    problem: str = ""


def list_recordings(sources: Iterable[Source], limits: Limits) -> Iterator[Found]:
    """Every recording of every source, sources in the given order, paths in an order that the file system cannot change.

    UserError where a source does not exist, or a list names no such file.
    """
    for source in sources:
        chosen = _Chooser(source)
        for entry in _entries(source, limits):
            if chosen(entry.path):
                yield _found(source, entry)


def source_root(source: Source) -> str:
    """What the relative paths of a source's recordings are joined to: absolute, or a URL."""
    root, pattern = split_glob(source.path)
    if pattern:
        return absolute(root)
    if is_list(source.path):
        return absolute(source.root if source.root is not None else posixpath.dirname(source.path))
    return absolute(source.path) + (MEMBER_MARK if is_archive(source.path) else "")


def _entries(source: Source, limits: Limits) -> Iterator[_Entry]:
    """Everything below a source, chosen or not."""
    root = source_root(source)
    pattern = split_glob(source.path)[1]
    if pattern:
        matches = re.compile(_glob_regex(pattern))
        for path, size, mtime_ns in list_folder(root, source.name):
            if matches.match(path):
                if is_archive(path):
                    yield from _archive(join_uri(root, path), f"{path}{MEMBER_MARK}", source, limits)
                else:
                    yield _Entry(path, join_uri(root, path), size, mtime_ns)
    elif is_list(source.path):
        rows = read_list(source, root)
        for row, (size, mtime_ns, problem) in zip(rows, stat_many(row.uri for row in rows), strict=True):
            yield _Entry(row.path, row.uri, size, mtime_ns, row.columns, problem)
    elif is_archive(source.path):
        yield from _archive(absolute(source.path), "", source, limits)
    else:
        for path, size, mtime_ns in list_folder(root, source.name):
            yield _Entry(path, join_uri(root, path), size, mtime_ns)


def _archive(uri: str, prefix: str, source: Source, limits: Limits) -> Iterator[_Entry]:
    for member in list_members(uri, source.name, limits):
        yield _Entry(prefix + member.name, f"{uri}{MEMBER_MARK}{member.name}", member.size, member.mtime_ns, member.columns)


def _found(source: Source, entry: _Entry) -> Found:
    columns, problem = entry.columns, entry.problem
    group, label = rule_value(source.group, entry.path, columns), ""
    if group is not None:
        group = f"{source.group.scope or source.name}/{group}"
    if source.label is not None:
        label = rule_value(source.label, entry.path, columns) or ""
    licence = columns.get(source.columns.licence or "", "") or source.licence
    attribution = columns.get(source.columns.attribution or "", "") or source.attribution
    return Found(
        source.name, entry.path, entry.uri, entry.size, entry.mtime_ns, group or "", label, licence, attribution, problem
    )  # fmt: skip


def rule_value(rule: Rule, path: str, columns: Mapping[str, str]) -> str | None:
    """The value that a rule gives for a relative path, or None where nothing matches."""
    value: str | None = None
    if rule.constant is not None:
        value = rule.constant
    elif rule.column is not None:
        value = columns.get(rule.column) or None
    elif rule.regex is not None:
        match = re.search(rule.regex, path)
        if match:
            value = "-".join(g for g in match.groups() if g) or None
    else:
        parents = PurePosixPath(path.replace(MEMBER_MARK, "/")).parts[:-1]
        if len(parents) >= rule.parent:
            value = parents[-rule.parent]
    if value is None:
        return rule.otherwise
    return rule.names.get(value, value)


class _Chooser:
    """Include and exclude globs, and the suffixes of audio files."""

    def __init__(self, source: Source):
        self._include = [re.compile(_glob_regex(p)) for p in source.include]
        self._exclude = [re.compile(_glob_regex(p)) for p in source.exclude]

    def __call__(self, path: str) -> bool:
        if PurePosixPath(path).suffix.lower() not in AUDIO_SUFFIXES:
            return False
        if not any(p.match(path) for p in self._include):
            return False
        return not any(p.match(path) for p in self._exclude)


def _glob_regex(pattern: str) -> str:
    """``**`` spans folders, ``*`` and ``?`` do not; a pattern without a slash matches the name in any folder."""
    if "/" not in pattern and pattern != "**":
        pattern = f"**/{pattern}"
    out = []
    for part in re.split(r"(\*\*/|\*\*|\*|\?|\[[^]]*\])", pattern):
        if part == "**/":
            out.append(r"(?:.*/)?")
        elif part == "**":
            out.append(".*")
        elif part == "*":
            out.append("[^/]*")
        elif part == "?":
            out.append("[^/]")
        elif part.startswith("[") and part.endswith("]"):
            out.append(fnmatch.translate(part).removeprefix("(?s:").removesuffix(r")\Z"))
        else:
            out.append(re.escape(part))
    return "(?s:" + "".join(out) + r")\Z"


@contextmanager
def open_uri(uri: str) -> Iterator[str | BinaryIO]:
    """What ``stylefx.audio`` reads: the path of a local file, or an open binary file (pass the uri as its name)."""
    archive, mark, member = uri.partition(MEMBER_MARK)
    if mark:
        with open_member(archive, member) as file:
            yield file
    elif is_url(uri):
        with open_file(uri) as file:
            yield file
    else:
        yield uri


def file_sha256(uri: str) -> str:
    """Hex digest of a recording's bytes."""
    digest = hashlib.sha256()
    with open_uri(uri) as source:
        file = open_file(source) if isinstance(source, str) else source
        try:
            while block := file.read(1 << 20):
                digest.update(block)
        finally:
            file.close()
    return digest.hexdigest()
