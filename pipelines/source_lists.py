"""File lists: CSV, TSV or JSONL with a path per row and columns for group, label, licence."""

from __future__ import annotations

import csv
import io
import json
import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TextIO

from pipelines.manifest_sources import Source
from pipelines.source_files import is_url, join_uri, open_file
from stylefx.errors import UserError

_SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson")


@dataclass(frozen=True)
class Row:
    path: str
    uri: str
    columns: dict[str, str]


def is_list(path: str) -> bool:
    return path.lower().endswith(_SUFFIXES)


def read_list(source: Source, root: str) -> list[Row]:
    """The rows in the order of their paths, which are relative to ``root``; UserError names the line of what does not fit."""
    rows: dict[str, tuple[int, Row]] = {}
    try:
        with open_file(source.path) as file, io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as text:
            for line, columns in _read(text, source):
                path = columns.get(source.columns.path, "").strip()
                where = f"source {source.name}: {source.path} line {line}"
                if not path:
                    raise UserError(f"{where} has no {source.columns.path!r}; it has the columns {', '.join(columns)}")
                path = _clean(path, where)
                if path in rows:
                    raise UserError(f"{where} names {path} again (first on line {rows[path][0]}); keep one")
                rows[path] = (line, Row(path, join_uri(root, path), columns))
    except OSError as error:
        raise UserError(f"source {source.name}: cannot read {source.path}: {error.strerror or error}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"source {source.name}: {source.path} is not a text list: {error}") from error
    return [rows[path][1] for path in sorted(rows)]


def _clean(path: str, where: str) -> str:
    """Without ``.`` and doubled slashes; a list may name absolute paths and URLs, but not climb out with ``..``."""
    if any(ord(c) < 32 for c in path):
        raise UserError(f"{where}: the path holds control characters")
    if is_url(path):
        return path
    if ".." in path.split("/"):
        raise UserError(f"{where}: {path!r} climbs out with '..'; give the path itself, or set the source's root")
    return posixpath.normpath(path)


def _read(text: TextIO, source: Source) -> Iterator[tuple[int, dict[str, str]]]:
    if source.path.lower().endswith((".csv", ".tsv")):
        reader = csv.DictReader(text, delimiter="\t" if source.path.lower().endswith(".tsv") else ",")
        if source.columns.path not in (reader.fieldnames or []):
            raise UserError(
                f"source {source.name}: {source.path} has no column {source.columns.path!r}; "
                f"it has {', '.join(reader.fieldnames or ['nothing'])} (set the source's columns.path)"
            )
        for columns in reader:
            yield reader.line_num, {k: v for k, v in columns.items() if k is not None and isinstance(v, str)}
        return
    for line, content in enumerate(text, 1):
        if not content.strip():
            continue
        try:
            data = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise UserError(f"source {source.name}: {source.path} line {line} is not JSON: {error}") from error
        if not isinstance(data, dict):
            raise UserError(f"source {source.name}: {source.path} line {line} is not a JSON object")
        yield line, plain_columns(data)


def plain_columns(data: dict) -> dict[str, str]:
    """Texts and numbers of a JSON object, as texts."""
    return {str(k): str(v) for k, v in data.items() if isinstance(v, (str, int, float)) and not isinstance(v, bool)}
