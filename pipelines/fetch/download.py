"""Downloading one file over HTTP: resumed where it stopped, retried with growing pauses, checked before it gets its name."""

from __future__ import annotations

import hashlib
import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from stylefx.errors import DamageError, IncompleteError, UserError
from stylefx.files.atomic import publish, write_whole
from stylefx.files.patience import Again, Patience, repeat
from stylefx.files.sentences import is_full

OnBytes = Callable[[str, int, int | None], None]  # name, bytes so far, bytes in all


_CHUNK = 1 << 20


_AGENT = "stylefx-pipe"


_RETRIED_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True)
class Expected:
    """What is known of a file before it is there."""

    size_bytes: int | None = None
    sha256: str | None = None
    md5: str | None = None
    sha1: str | None = None

    @property
    def algorithm(self) -> str | None:
        """The strongest checksum that is published."""
        return next((name for name in ("sha256", "sha1", "md5") if getattr(self, name)), None)


class _Interrupted(Exception):
    """The connection broke or the server asked for patience; worth another attempt."""

    def __init__(self, reason: str, wait_s: float = 0.0):
        super().__init__(reason)
        self.wait_s = wait_s


def download(url: str, path: Path, expected: Expected, progress: OnBytes, patience: Patience | None = None) -> None:
    """Bring a URL to a path. What is there already of ``path``.part is continued by HTTP Range.

    IncompleteError when the server stays away or the disk is full (call again to go on), DamageError when the bytes are
    twice not what was published, UserError when the server refuses.
    """
    patience = patience or Patience()
    if path.exists():
        return
    partial = path.with_name(path.name + ".part")
    for attempt in (1, 2):
        _complete(url, partial, expected, progress, patience)
        fault = _fault(partial, expected)
        if fault is None:
            _publish(partial, path)
            return
        _forget(partial)
        if attempt == 2:
            raise DamageError(f"{url} is not what was published: {fault}; it was fetched twice, tell whoever hosts it")


def remote_size(url: str, timeout_s: float = 30.0) -> int | None:
    """Bytes of a URL by a HEAD request; None where the server does not say."""
    request = urllib.request.Request(url, method="HEAD", headers={"User-Agent": _AGENT})
    try:
        with urllib.request.urlopen(request, timeout=timeout_s) as response:
            length = response.headers.get("Content-Length")
            return int(length) if length else None
    except (OSError, http.client.HTTPException, ValueError):
        return None


def _complete(url: str, partial: Path, expected: Expected, progress: OnBytes, patience: Patience) -> None:
    """Continue until the file is whole; give up after so many attempts in a row that brought nothing."""
    had = 0

    def attempt() -> None:
        nonlocal had
        had = _size(partial)
        _continue(url, partial, expected, progress, patience.timeout_s)

    def judge(error: Exception) -> Again | None:
        return Again(error.wait_s, progressed=_size(partial) > had) if isinstance(error, _Interrupted) else None

    try:
        repeat(attempt, patience, judge)
    except _Interrupted as reason:
        raise IncompleteError(
            f"{url} stopped after {_size(partial)} bytes ({reason}); call fetch again to go on from there"
        ) from None


def _continue(url: str, partial: Path, expected: Expected, progress: OnBytes, timeout_s: float) -> None:
    """One request for what is missing. Returns when the file is whole."""
    have = _size(partial)
    if expected.size_bytes is not None and have == expected.size_bytes:
        return
    if expected.size_bytes is not None and have > expected.size_bytes:
        _forget(partial)
        have = 0
    headers = {"User-Agent": _AGENT, "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        validator = _validator(partial)
        if validator:
            headers["If-Range"] = validator  # a file that changed meanwhile comes whole
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=timeout_s) as response:
            start, total = _place(response, have)
            _check_total(url, total, expected)
            _remember(partial, response)
            _copy(response, partial, start, total, _final_name(partial), progress)
    except urllib.error.HTTPError as error:
        if error.code == 416 and error.headers.get("Content-Range", "").endswith(f"*/{have}"):
            return  # it was whole already
        _refused(url, error, partial)
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
        raise _Interrupted(str(getattr(error, "reason", error)) or type(error).__name__) from None
    if total is not None and _size(partial) < total:
        raise _Interrupted("the connection was closed early")


def _final_name(partial: Path) -> str:
    return partial.name.removesuffix(".part")


def _place(response: http.client.HTTPResponse, have: int) -> tuple[int, int | None]:
    """Where the bytes of the response belong, and how many the whole has."""
    if response.status == 206:
        unit, _, rest = response.headers.get("Content-Range", "").partition(" ")
        span, _, total = rest.partition("/")
        start = span.partition("-")[0]
        if unit != "bytes" or not start.isdigit() or int(start) != have:
            raise _Interrupted(f"the server answered with the range {rest!r} where {have}- was asked for")
        return have, int(total) if total.isdigit() else None
    length = response.headers.get("Content-Length")
    return 0, int(length) if length else None


def _check_total(url: str, total: int | None, expected: Expected) -> None:
    if total is not None and expected.size_bytes is not None and total != expected.size_bytes:
        raise DamageError(f"{url} has {total} bytes, published are {expected.size_bytes}; the host serves something else")


def _copy(response: http.client.HTTPResponse, partial: Path, start: int, total: int | None, name: str, progress: OnBytes) -> None:
    with partial.open("r+b" if partial.exists() else "wb") as file:
        file.truncate(start)
        file.seek(start)
        done = start
        progress(name, done, total)
        try:
            while chunk := response.read(_CHUNK):
                file.write(chunk)
                done += len(chunk)
                progress(name, done, total)
        except http.client.IncompleteRead as error:
            file.write(error.partial)
            raise
        except OSError as error:
            if is_full(error):
                raise IncompleteError(f"no space left for {partial}; make room and call fetch again to go on") from None
            raise _Interrupted(str(error)) from None


def _refused(url: str, error: urllib.error.HTTPError, partial: Path) -> None:
    if error.code == 416:  # what we have does not belong to this file
        _forget(partial)
        raise _Interrupted("the range was refused") from None
    if error.code in _RETRIED_STATUS:
        wait = error.headers.get("Retry-After", "")
        raise _Interrupted(f"HTTP {error.code} {error.reason}", float(wait) if wait.isdigit() else 0.0) from None
    raise UserError(f"{url} cannot be fetched: HTTP {error.code} {error.reason}; see the corpus's home page") from None


def _fault(partial: Path, expected: Expected) -> str | None:
    """What is wrong with a complete download; None where nothing is."""
    size = _size(partial)
    if expected.size_bytes is not None and size != expected.size_bytes:
        return f"{size} bytes, published are {expected.size_bytes}"
    algorithm = expected.algorithm
    if algorithm is None:
        return None
    wanted = getattr(expected, algorithm)
    with partial.open("rb") as file:
        found = hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()
    return None if found == wanted else f"its {algorithm} is {found}, published is {wanted}"


def _publish(partial: Path, path: Path) -> None:
    publish(partial, path)
    _validator_file(partial).unlink(missing_ok=True)


# -- what is known of the partial file: the server's validator, so that parts of two versions are never joined


def _validator_file(partial: Path) -> Path:
    return partial.with_name(partial.name + ".json")


def _remember(partial: Path, response: http.client.HTTPResponse) -> None:
    etag = response.headers.get("ETag", "")
    validator = etag if etag and not etag.startswith("W/") else response.headers.get("Last-Modified", "")
    write_whole(_validator_file(partial), json.dumps({"validator": validator}).encode())


def _validator(partial: Path) -> str:
    try:
        return str(json.loads(_validator_file(partial).read_text()).get("validator", ""))
    except (OSError, ValueError):
        return ""


def _forget(partial: Path) -> None:
    partial.unlink(missing_ok=True)
    _validator_file(partial).unlink(missing_ok=True)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
