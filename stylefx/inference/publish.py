"""Files appear whole or not at all: write under a unique temporary name in the same folder, then rename."""

from __future__ import annotations

import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stylefx.errors import IncompleteError, StylefxError, UserError

_NEARLY_FULL_BYTES = 1 << 20


def check_writable(path: Path) -> None:
    """Refuse an output that cannot be written before any work is spent on it."""
    folder = path.parent
    if path.is_dir():
        raise UserError(f"{path} is a folder; give a file name for the output")
    if not folder.is_dir():
        raise UserError(f"{path} cannot be written: the folder {folder} does not exist; make it first")
    if not os.access(folder, os.W_OK):
        raise UserError(f"{path} cannot be written: no permission to write into {folder}; choose another folder")


@contextmanager
def temporary_name(path: Path) -> Iterator[Path]:
    """A name beside ``path`` to write to. After the block the file is synced and renamed to ``path``; on any error it
    is removed and what stood at ``path`` stays. A full disk becomes IncompleteError, other refusals UserError."""
    check_writable(path)
    temporary = path.with_name(f".{path.stem}.{uuid.uuid4().hex[:12]}{path.suffix}")
    try:
        yield temporary
        _sync(temporary)
        os.replace(temporary, path)
        _sync(path.parent)
    except StylefxError:
        raise
    except (OSError, RuntimeError, AssertionError) as error:
        raise as_sentence(error, path) from error
    finally:
        temporary.unlink(missing_ok=True)


def publish_text(path: Path, text: str) -> None:
    """Write a text file, whole or not at all."""
    with temporary_name(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def as_sentence(error: Exception, path: Path) -> Exception:
    """What a user is told: a full disk is IncompleteError, another refusal of the system UserError, the rest unchanged.

    libsndfile reports a full disk as text or as a short write, Python as ENOSPC.
    """
    full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) or "No space left" in str(error)
    if full or shutil.disk_usage(path.parent).free < _NEARLY_FULL_BYTES:
        return IncompleteError(f"{path}: the disk is full, nothing was written; free some space and run the command again")
    if "System error" in str(error):  # libsndfile met a refusal while writing and does not say which
        return IncompleteError(f"{path}: the system took no more data, most likely the disk is full; nothing was written")
    if isinstance(error, OSError) or type(error).__name__ == "LibsndfileError":
        return UserError(f"{path} cannot be written: {getattr(error, 'strerror', None) or error}")
    return error
