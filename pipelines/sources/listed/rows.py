"""Lists of recordings in the forms that people have: whatever the form, rows of columns with a path, and perhaps a stretch.

CSV, TSV, JSON lines and Parquet, gzipped too; NeMo's manifests; lhotse's recordings and cuts; Kaldi's ``wav.scp`` with the
``segments``, ``utt2spk`` and ``text`` beside it; m3u playlists.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import posixpath
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TextIO

from pipelines.manifest.sources import Source
from pipelines.sources.files import open_file
from pipelines.sources.listed.columns import plain_columns
from pipelines.sources.listed.tables import table_rows
from pipelines.sources.uris import is_table
from stylefx.errors import SourceError

_LINES = (".jsonl", ".ndjson", ".json")
_PLAYLISTS = (".m3u", ".m3u8")
_COMMAND = "is a command; commands in lists are not run, write its output to files"


@dataclass(frozen=True)
class ListedRow:
    """``path`` None: the list's own column of paths says it; ``stretch``: (start, end or None) in seconds."""

    line: int
    columns: dict[str, str]
    path: str | None = None
    stretch: tuple[float, float | None] = (0.0, None)
    problem: str = ""


def is_list(path: str) -> bool:
    """Whether a file of this name is a list of recordings, but for tables, which may be either."""
    return _plain(path).endswith((".csv", ".tsv", ".scp", *_LINES, *_PLAYLISTS))


def _plain(path: str) -> str:
    return path.lower().removesuffix(".gz")


def listed_rows(source: Source, path: str) -> Iterator[ListedRow]:
    """The rows in the order of the file; SourceError names the line of what does not fit."""
    if is_table(path):
        for number, row in enumerate(table_rows(path), 1):
            yield ListedRow(number, plain_columns(row))
        return
    with _text(path) as text:
        if _plain(path).endswith((".csv", ".tsv")):
            yield from _csv(text, source, path)
        elif _plain(path).endswith(_PLAYLISTS):
            yield from _playlist(text)
        elif _plain(path).endswith(".scp"):
            yield from _kaldi(text, path)
        else:
            yield from _lines(text, source, path)


@contextmanager
def _text(path: str) -> Iterator[TextIO]:
    with open_file(path) as file:
        raw: Any = gzip.GzipFile(fileobj=file) if path.lower().endswith(".gz") else file
        with io.TextIOWrapper(raw, encoding="utf-8-sig", newline="") as text:
            yield text


def _csv(text: TextIO, source: Source, path: str) -> Iterator[ListedRow]:
    reader = csv.DictReader(text, delimiter="\t" if _plain(path).endswith(".tsv") else ",")
    names = list(reader.fieldnames or [])
    wanted = source.columns.path
    if wanted not in names and not {"input", "target"} <= set(names):
        raise SourceError(
            f"source {source.name}: {path} has no column {wanted!r}; "
            f"it has {', '.join(names or ['nothing'])} (set the source's columns.path)"
        )
    for columns in reader:
        yield ListedRow(reader.line_num, {k: v for k, v in columns.items() if k is not None and isinstance(v, str)})


def _lines(text: TextIO, source: Source, path: str) -> Iterator[ListedRow]:
    for line, content in enumerate(text, 1):
        if not content.strip():
            continue
        try:
            data = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise SourceError(f"source {source.name}: {path} line {line} is not JSON: {error}") from error
        if not isinstance(data, dict):
            raise SourceError(f"source {source.name}: {path} line {line} is not a JSON object")
        yield _object(line, data)


def _object(line: int, data: dict[str, Any]) -> ListedRow:
    if isinstance(data.get("recording"), dict):
        return _cut(line, data)
    if isinstance(data.get("sources"), list):
        return ListedRow(line, plain_columns(data), *_lhotse(data))
    if isinstance(data.get("tracks"), list):
        return ListedRow(line, plain_columns(data), path=str(data.get("id")), problem="is a mixed cut of lhotse; list plain ones")
    columns = plain_columns(data)
    if "audio_filepath" not in data:
        return ListedRow(line, columns)
    stretch: tuple[float, float | None] = (0.0, None)
    if "offset" in data:  # without one, NeMo's duration is that of the file
        start = float(data["offset"] or 0.0)
        stretch = (start, None if data.get("duration") is None else start + float(data["duration"]))
    return ListedRow(line, columns, str(data["audio_filepath"]), stretch)


def _cut(line: int, data: dict[str, Any]) -> ListedRow:
    """A cut of lhotse: a stretch of a recording; the fields of its only supervision are columns of the row."""
    recording, said = data["recording"], data.get("supervisions") or []
    columns = plain_columns({k: v for k, v in data.items() if k not in ("recording", "features", "supervisions")})
    if len(said) == 1 and isinstance(said[0], dict):
        columns = {**plain_columns({k: v for k, v in said[0].items() if k not in ("start", "duration")}), **columns}
    path, _, problem = _lhotse(recording)
    start, length = float(data.get("start") or 0.0), data.get("duration")
    whole = start == 0.0 and (length is None or float(length) >= float(recording.get("duration", "inf")) - 1e-6)
    return ListedRow(line, columns, path, (0.0, None) if whole else (start, start + float(length or 0.0) or None), problem)


def _lhotse(recording: dict[str, Any]) -> tuple[str, tuple[float, float | None], str]:
    sources = [s for s in recording.get("sources", ()) if isinstance(s, dict)]
    if len(sources) != 1:
        name = str(recording.get("id", "?"))
        return name, (0.0, None), f"has its channels in {len(sources)} files; list recordings of one file each"
    problem = "" if sources[0].get("type") in ("file", "url") else f"its source of type {sources[0].get('type')!r} {_COMMAND}"
    return str(sources[0].get("source")), (0.0, None), problem


def _playlist(text: TextIO) -> Iterator[ListedRow]:
    title = ""
    for line, content in enumerate(text, 1):
        content = content.strip()
        if content.startswith("#EXTINF:"):
            title = content.partition(",")[2].strip()
        elif content and not content.startswith("#"):
            yield ListedRow(line, {"title": title} if title else {}, content.removeprefix("file://"))
            title = ""


def _kaldi(text: TextIO, path: str) -> Iterator[ListedRow]:
    """``wav.scp``: "name path" a line, cut by ``segments``: "name recording start end"."""
    recordings: dict[str, tuple[int, str]] = {}
    for line, content in enumerate(text, 1):
        name, _, place = content.strip().partition(" ")
        if name:
            recordings[name] = (line, place.strip())
    speakers, texts = (dict(_beside(path, name)) for name in ("utt2spk", "text"))
    stretches = dict(_beside(path, "segments"))
    for name, rest in (stretches or dict.fromkeys(recordings, "")).items():
        words = rest.split()
        owner = words[0] if words else name
        line, place = recordings.get(owner, (0, ""))
        columns = {"id": name, "speaker": speakers.get(name, ""), "text": texts.get(name, "")}
        stretch = (float(words[1]), float(words[2]) if float(words[2]) > 0 else None) if words else (0.0, None)
        problem = (
            _COMMAND if place.endswith("|") else "" if place else f"names the recording {owner!r}, which wav.scp does not have"
        )
        yield ListedRow(line, {k: v for k, v in columns.items() if v}, owner if problem else place, stretch, problem)


def _beside(path: str, name: str) -> Iterator[tuple[str, str]]:
    """The lines of a file in the list's folder, first word and rest; none where there is no such file."""
    try:
        with _text(posixpath.join(posixpath.dirname(path), name)) as text:
            for content in text:
                first, _, rest = content.strip().partition(" ")
                if first:
                    yield first, rest.strip()
    except FileNotFoundError:
        return
