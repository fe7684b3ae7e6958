"""What a manifest's sources hold: recordings by relative path, and how each is opened.

A recording's URI is a local path or a URL that fsspec knows; ``ARCHIVE!/MEMBER`` is a member of a tar or zip. Its
identity is the source's name and its path relative to the source, so a collection can move without changing.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import BinaryIO

from pipelines.manifest.model import Limits
from pipelines.manifest.select import parse_selection
from pipelines.manifest.sources import Source
from pipelines.sources.archives import list_members, open_member
from pipelines.sources.choose import Chooser
from pipelines.sources.files import open_file, stat_many
from pipelines.sources.folders import list_folder
from pipelines.sources.groups import group_of, rule_value
from pipelines.sources.leftout import LeftOut
from pipelines.sources.listed.lists import is_list, read_list
from pipelines.sources.listed.tables import audio_column
from pipelines.sources.plugged import list_plugin, open_plugged, plugin_root
from pipelines.sources.uris import (
    MEMBER_MARK,
    SCHEME,
    absolute,
    is_archive,
    is_table,
    join_uri,
    split_glob,
    split_member,
    split_stretch,
)  # fmt: skip
from stylefx.errors import SourceError
from stylefx.files.address import is_url

#: columns that say where a recording lies and not what it is
_PLACES = frozenset({"audio_filepath", "offset", "duration", "start", "end"})


@dataclass(frozen=True)
class Found:
    """One recording before it is decoded. ``problem`` is set where it can be named but not read; ``metadata`` is what else is
    known of it; ``target`` is the same recording after somebody's work, relative as ``path`` is."""

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
    metadata: Mapping[str, str] = field(default_factory=dict)
    target: str = ""
    target_uri: str = ""

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
    target: str = ""
    whole: bool = False  # a folder, an archive or a row that cannot be read, whatever its name


def list_recordings(sources: Iterable[Source], limits: Limits, left_out: LeftOut | None = None) -> Iterator[Found]:
    """Every recording of every source, sources in the given order, paths in an order that the file system cannot change.

    ``left_out`` gains what is passed over. SourceError where a source does not exist, or a list names no such file.
    """
    left_out = LeftOut() if left_out is None else left_out
    for source in sources:
        chooser = Chooser(source)
        selected = parse_selection(source.select) if source.select else None
        for entry in _entries(source, limits, left_out):
            if entry.whole:
                if chooser.may_hold(entry.path):
                    yield _found(source, entry, left_out)
            elif not chooser.wanted(split_stretch(entry.path)[0]):
                continue
            elif not chooser.is_audio(split_stretch(entry.path)[0]):
                left_out.ending(source.name, split_stretch(entry.path)[0])
            elif selected is not None and not selected({**entry.columns, "path": entry.path}):
                left_out.deselected[source.name] += 1
            else:
                yield _found(source, entry, left_out)


def source_root(source: Source) -> str:
    """What the relative paths of a source's recordings are joined to: absolute, or a URL."""
    if source.kind is not None:
        return plugin_root(source.kind, source.path)
    root, pattern = split_glob(source.path)
    if pattern:
        return absolute(root)
    if _is_list(source):
        return absolute(source.root if source.root is not None else posixpath.dirname(absolute(source.path)))
    return absolute(source.path) + (MEMBER_MARK if is_archive(source.path) or is_table(source.path) else "")


def _is_list(source: Source) -> bool:
    """A table is a list where no column of it holds audio."""
    return is_list(source.path) or (is_table(source.path) and not audio_column(absolute(source.path)))


def _entries(source: Source, limits: Limits, left_out: LeftOut) -> Iterator[_Entry]:
    """Everything below a source, chosen or not."""
    return _below(source, limits, left_out) if source.kind is None else _plugged(source)


def _plugged(source: Source) -> Iterator[_Entry]:
    root = source_root(source)
    for found in list_plugin(source):
        yield _Entry(found.path, root + found.path, found.size, found.mtime_ns, found.columns)


def _below(source: Source, limits: Limits, left_out: LeftOut) -> Iterator[_Entry]:
    root, pattern = source_root(source), split_glob(source.path)[1]
    if not pattern and _is_list(source):
        rows = read_list(source, root)
        for row, (size, mtime_ns, problem) in zip(rows, stat_many(row.uri for row in rows), strict=True):
            odd = bool(row.problem)
            yield _Entry(
                row.path, join_uri(root, row.path), size, mtime_ns, row.columns, row.problem or problem, row.target, whole=odd
            )
        return
    if not pattern and (is_archive(source.path) or is_table(source.path)):
        yield from _members(absolute(source.path), "", source, limits)
        return
    links: list[str] = []
    matches = Chooser.pattern(pattern) if pattern else None
    for place in list_folder(root, source.name, links):
        uri = join_uri(root, place.path)
        if matches is not None and not place.folder and not matches.match(place.path):
            continue
        if matches is not None and (is_archive(place.path) or is_table(place.path)):
            yield from _packed(place.path, uri, source, limits)
        else:
            yield _Entry(place.path, uri, place.size, place.mtime_ns, problem=place.problem, whole=place.folder)
    left_out.links += [(source.name, name) for name in links]


def _packed(path: str, uri: str, source: Source, limits: Limits) -> Iterator[_Entry]:
    """The members of one archive among many; what is wrong with one is a row of its own, and stops no other."""
    try:
        yield from _members(uri, f"{path}{MEMBER_MARK}", source, limits)
    except SourceError as error:
        yield _Entry(path, uri, 0, 0, problem=f"unreadable: {error}", whole=True)


def _members(uri: str, prefix: str, source: Source, limits: Limits) -> Iterator[_Entry]:
    members, damage = list_members(uri, source.name, limits)
    for member in members:
        yield _Entry(prefix + member.name, f"{uri}{MEMBER_MARK}{member.name}", member.size, member.mtime_ns, member.columns)
    if damage:
        name = posixpath.basename(uri)
        told = f"unreadable: the archive is damaged ({damage}); {len(members)} members of it are whole and kept"
        yield _Entry(prefix.removesuffix(MEMBER_MARK) or name, uri, 0, 0, problem=told, whole=True)


def _found(source: Source, entry: _Entry, left_out: LeftOut) -> Found:
    columns = entry.columns
    group, alone = ("", False) if entry.whole else group_of(source, split_stretch(entry.path)[0], columns)
    if alone:
        left_out.alone[source.name] += 1
    label = (rule_value(source.label, entry.path, columns) or "") if source.label is not None else ""
    names = source.columns
    licence = columns.get(names.licence or "", "") or source.licence
    attribution = columns.get(names.attribution or "", "") or source.attribution
    return Found(
        source.name, entry.path, entry.uri, entry.size, entry.mtime_ns, group, label, licence, attribution, entry.problem,
        _metadata(source, columns), entry.target, join_uri(source_root(source), entry.target) if entry.target else "",
    )  # fmt: skip


def _metadata(source: Source, columns: Mapping[str, str]) -> dict[str, str]:
    """The columns that follow a recording: those wanted, but for what is said elsewhere already."""
    names = source.columns
    if names.metadata != "all":
        return {k: columns[k] for k in names.metadata if columns.get(k)}
    used = {names.path, names.target, names.licence, names.attribution, names.start, names.end, names.duration}
    if names.path not in columns and "input" in columns:
        used |= {"input", "target"}
    return {k: v for k, v in columns.items() if v and k not in used and k not in _PLACES}


@contextmanager
def open_uri(uri: str) -> Iterator[str | BinaryIO]:
    """What ``stylefx.audio`` reads: the path of a local file, or an open binary file (pass the uri as its name)."""
    if uri.startswith(SCHEME):
        with open_plugged(uri) as file:
            yield file
        return
    uri = split_stretch(uri)[0]
    archive, member = split_member(uri)
    if member:
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
