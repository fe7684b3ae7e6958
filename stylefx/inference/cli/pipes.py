"""`-` and pipes: what can be read or written once only lies in a temporary file while the work needs it more often."""

from __future__ import annotations

import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from stylefx.errors import StylefxError, UserError

STANDARD = "-"


def is_pipe(path: str) -> bool:
    """Standard input or output, a named pipe, or a device such as /dev/stdin."""
    if path == STANDARD:
        return True
    try:
        mode = Path(path).stat().st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode) or stat.S_ISSOCK(mode)


@contextmanager
def readable(path: str) -> Iterator[str]:
    """The path itself, or that of a copy of what comes out of the pipe; messages name the pipe."""
    if not is_pipe(path):
        yield path
        return
    label = "standard input" if path == STANDARD else path
    with tempfile.TemporaryDirectory(prefix="stylefx-") as folder:
        copy = Path(folder) / ("standard-input" if path == STANDARD else Path(path).name)
        with copy.open("wb") as file:
            _drain(path, file)
        try:
            yield str(copy)
        except StylefxError as error:
            raise type(error)(str(error).replace(str(copy), label)) from error


def _drain(path: str, file: BinaryIO) -> None:
    if path == STANDARD:
        if sys.stdin.buffer.isatty():
            raise UserError("standard input is a terminal; pipe a recording into it, or name a file")
        shutil.copyfileobj(sys.stdin.buffer, file)
        return
    with open(path, "rb") as pipe:
        shutil.copyfileobj(pipe, file)


@contextmanager
def writable(path: str, suffix: str = ".wav") -> Iterator[str]:
    """The path itself, or that of a file which goes into the pipe when the work is done; without an ending it is WAV."""
    if not is_pipe(path):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="stylefx-") as folder:
        file = Path(folder) / f"output{Path(path).suffix or suffix}"
        yield str(file)
        with file.open("rb") as done:
            if path == STANDARD:
                shutil.copyfileobj(done, sys.stdout.buffer)
                sys.stdout.buffer.flush()
            else:
                with open(path, "wb") as pipe:
                    shutil.copyfileobj(done, pipe)
