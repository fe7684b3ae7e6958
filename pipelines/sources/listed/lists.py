"""A list's rows as recordings: one name each, clean paths, real pairs of a recording before and after somebody's work."""

from __future__ import annotations

import csv
import posixpath
from dataclasses import dataclass

from pipelines.manifest.sources import Source
from pipelines.sources.listed.rows import ListedRow, is_list, listed_rows
from pipelines.sources.uris import absolute, join_uri, with_stretch
from stylefx.errors import SourceError
from stylefx.files.address import expanded, is_url

__all__ = ["Row", "is_list", "read_list"]


@dataclass(frozen=True)
class Row:
    """``path`` names the recording, its stretch included; ``uri`` is the file. ``target``: the same after somebody's work."""

    path: str
    uri: str
    columns: dict[str, str]
    problem: str = ""
    target: str = ""


def read_list(source: Source, root: str) -> list[Row]:
    """The rows in the order of their paths, which are relative to ``root``; SourceError names the line of what does not fit."""
    rows: dict[str, tuple[int, Row]] = {}
    where = absolute(source.path)
    try:
        for row in listed_rows(source, where):
            at = f"source {source.name}: {source.path} line {row.line}"
            made = _row(source, row, root, at)
            if made.path in rows:
                raise SourceError(f"{at} names {made.path} again (first on line {rows[made.path][0]}); keep one")
            rows[made.path] = (row.line, made)
    except OSError as error:
        raise SourceError(f"source {source.name}: cannot read {source.path}: {error.strerror or error}") from error
    except (UnicodeDecodeError, csv.Error, EOFError) as error:
        raise SourceError(f"source {source.name}: {source.path} is not a text list: {error}") from error
    return [rows[path][1] for path in sorted(rows)]


def _row(source: Source, row: ListedRow, root: str, at: str) -> Row:
    names, columns = source.columns, row.columns
    before, after = names.path, names.target
    if after is None and names.path not in columns and row.path is None and {"input", "target"} <= set(columns):
        before, after = "input", "target"
    path = (row.path if row.path is not None and before not in columns else columns.get(before, "")).strip()
    if not path:
        raise SourceError(f"{at} has no {before!r}; it has the columns {', '.join(columns)}")
    path = _clean(path, at)
    target = _clean(columns[after].strip(), at) if after and columns.get(after, "").strip() else ""
    if after and not target:
        raise SourceError(f"{at} has no {after!r}, the recording after somebody's work; give one, or leave the row out")
    start, end = _stretch(source, row, at)
    return Row(
        with_stretch(path, start, end), join_uri(root, path), columns, row.problem and f"unreadable: {row.problem}", target
    )


def _stretch(source: Source, row: ListedRow, at: str) -> tuple[float, float | None]:
    """Start and end in seconds: what the form of the list says, or the columns that the manifest names."""
    names, (start, end) = source.columns, row.stretch
    try:
        if names.start and row.columns.get(names.start):
            start = float(row.columns[names.start])
        if names.end and row.columns.get(names.end):
            end = float(row.columns[names.end])
        elif names.duration and row.columns.get(names.duration):
            end = start + float(row.columns[names.duration])
    except ValueError as error:
        raise SourceError(f"{at}: {error}; start, end and duration are seconds") from None
    if start < 0 or (end is not None and end <= start):
        raise SourceError(f"{at}: a stretch from {start:g} s to {end} s holds nothing; give an end after its start")
    return start, end


def _clean(path: str, where: str) -> str:
    """Without ``.`` and doubled slashes, ``~`` and ``$VAR`` replaced; a list may name absolute paths and URLs, but not climb
    out with ``..``."""
    if any(ord(c) < 32 for c in path):
        raise SourceError(f"{where}: the path holds control characters")
    if is_url(path):
        return path
    path = expanded(path)
    if ".." in path.split("/"):
        raise SourceError(f"{where}: {path!r} climbs out with '..'; give the path itself, or set the source's root")
    return posixpath.normpath(path)
