"""What names a recording: a path, a URL, a member of a container (``ARCHIVE!/MEMBER``), a stretch of one (``#t=START,END``).

A folder may be called ``Wham!``: the mark counts only behind a name that is an archive's or a table's.
"""

from __future__ import annotations

import os
import re

from stylefx.files.address import expanded, is_url

#: ``ARCHIVE!/MEMBER`` is a member of an archive
MEMBER_MARK = "!/"

#: ``plug-in:KIND:LOCATION!/PATH`` is a recording of a plug-in's source
SCHEME = "plug-in:"

TARS = (".tar",)
PACKED_TARS = (".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
ZIPS = (".zip",)
TABLES = (".parquet",)

_GLOB = re.compile(r"[*?\[]")
_STRETCH = re.compile(r"#t=(\d+(?:\.\d+)?),(\d+(?:\.\d+)?)?\Z")  # W3C media fragments, seconds; without an end: to the end


def is_archive(path: str) -> bool:
    return path.lower().endswith(TARS + PACKED_TARS + ZIPS)


def is_table(path: str) -> bool:
    """A Parquet file: a list of paths, or audio in its rows."""
    return path.lower().endswith(TABLES)


def split_member(uri: str) -> tuple[str, str]:
    """(archive or table, member) of ``ARCHIVE!/MEMBER``; (uri, "") of anything else. No stretch may be left on the uri."""
    at = uri.find(MEMBER_MARK)
    while at >= 0:
        container = uri[:at]
        if (is_archive(container) or is_table(container)) and not os.path.isdir(container + "!"):
            return container, uri[at + len(MEMBER_MARK) :]
        at = uri.find(MEMBER_MARK, at + 1)
    return uri, ""


def is_file_of_its_own(uri: str) -> bool:
    """Whether a recording is a file or an object, not a member of a container nor what a plug-in opens."""
    return not uri.startswith(SCHEME) and not split_member(uri)[1]


def with_stretch(path: str, start_s: float, end_s: float | None) -> str:
    """The name of a stretch of a recording; the path itself where that is all of it."""
    if start_s == 0 and end_s is None:
        return path
    return f"{path}#t={_seconds(start_s)},{'' if end_s is None else _seconds(end_s)}"


def split_stretch(uri: str) -> tuple[str, float, float | None]:
    """(the file, start and end in seconds); start 0 and end None where a name stands for the whole file."""
    match = _STRETCH.search(uri)
    if match is None:
        return uri, 0.0, None
    return uri[: match.start()], float(match[1]), float(match[2]) if match[2] else None


def _seconds(value: float) -> str:
    return f"{value:.9f}".rstrip("0").rstrip(".")


def join_uri(root: str, path: str) -> str:
    """Where a relative path lies; absolute paths and URLs stay, and below ``ARCHIVE!/`` are members."""
    if root.endswith(MEMBER_MARK):
        return root + path
    return path if is_url(path) or os.path.isabs(path) else f"{root.rstrip('/')}/{path}" if root else path


def absolute(path: str) -> str:
    """The same for workers that run in another folder; ``~`` and ``$VAR`` are replaced."""
    path = expanded(path)
    return path if is_url(path) else os.path.abspath(path)


def split_glob(path: str) -> tuple[str, str]:
    """``data/2024-*/x.tar`` -> (``data``, ``2024-*/x.tar``); no glob, or a path that is there as it stands: (path, "")."""
    path = expanded(path)
    if not _GLOB.search(path) or (not is_url(path) and os.path.exists(path)):
        return path, ""
    parts = path.split("/")
    first = next(i for i, p in enumerate(parts) if _GLOB.search(p))
    root = "/".join(parts[:first])
    return (root or ("/" if path.startswith("/") else ".")), "/".join(parts[first:])


def readable_name(name: str) -> str:
    """The name of a file as text that any file can hold; bytes that are not UTF-8 as ``\\xE9``."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
