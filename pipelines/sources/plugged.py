"""Sources of plug-ins: a kind's recordings and where they lie, as ``plug-in:KIND:LOCATION!/PATH``."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from pipelines.manifest.sources import Source
from pipelines.sources.uris import MEMBER_MARK, SCHEME
from stylefx import plugins
from stylefx.errors import SourceError, StylefxError
from stylefx.nearest import did_you_mean


@functools.lru_cache(maxsize=16)
def open_plugin(kind: str, location: str) -> plugins.SourcePlugin:
    """The source of this kind at a location, one per process; SourceError where no plug-in provides it."""
    known = plugins.provided(plugins.SOURCES)
    if kind not in known:
        hint = did_you_mean(kind, known, f"they provide {', '.join(known) or 'none'}")
        raise SourceError(f"no plug-in provides sources of the kind {kind!r}{hint}")
    made = plugins.load(plugins.SOURCES, kind)(location)
    if not isinstance(made, plugins.SourcePlugin):
        package = plugins.provider(plugins.SOURCES, kind)
        raise SourceError(
            f"the plug-in {package} provides {type(made).__name__} as {kind!r}; it must be a stylefx.plugins.SourcePlugin"
        )
    return made


def plugin_root(kind: str, location: str) -> str:
    """What the paths of its recordings are appended to."""
    if MEMBER_MARK in location:
        raise SourceError(
            f"the path {location!r} of a {kind} source holds {MEMBER_MARK!r}, which parts a place from what is in it"
        )
    return f"{SCHEME}{kind}:{location}{MEMBER_MARK}"


def list_plugin(source: Source) -> Iterator[plugins.SourceRecording]:
    """Its recordings in the order of their paths; SourceError for names that cannot be used or come twice."""
    assert source.kind is not None
    where = f"source {source.name} ({source.kind})"
    try:
        found = sorted(open_plugin(source.kind, source.path).recordings(), key=lambda r: r.path)
    except OSError as error:
        raise SourceError(f"{where}: {source.path} cannot be read: {error.strerror or error}") from error
    before = ""
    for recording in found:
        path = recording.path
        if not path or path.startswith("/") or ".." in path.split("/") or any(ord(c) < 32 for c in path):
            raise SourceError(f"{where} names a recording {path!r}; a path is relative and stays inside the source")
        if path == before:
            raise SourceError(f"{where} names {path!r} twice; the names of its recordings must differ")
        before = path
        yield recording


@contextmanager
def open_plugged(uri: str) -> Iterator[BinaryIO]:
    """What the plug-in opens, as a file; its mistakes end in a sentence, what is gone in FileNotFoundError."""
    kind, _, rest = uri.removeprefix(SCHEME).partition(":")
    location, _, path = rest.partition(MEMBER_MARK)
    try:
        opened = open_plugin(kind, location).open(path)
    except (StylefxError, OSError):
        raise
    except Exception as error:
        raise SourceError(f"the {kind} source cannot open {path}: {type(error).__name__}: {error}") from error
    with open(opened, "rb") if isinstance(opened, str) else opened as file:
        yield file
