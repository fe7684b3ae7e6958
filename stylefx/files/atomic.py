"""Files appear whole or not at all: written under a temporary name beside the target, synced, renamed.

Everything in both packages that a reader may meet goes through ``publish`` or what stands on it. ``temporary_file`` and
``write_whole`` let errors of the system pass; ``output_file`` and ``publish_text`` turn them into sentences.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from stylefx.errors import StylefxError, UserError
from stylefx.files.claims import Claim, temporary_name
from stylefx.files.sentences import as_sentence

#: what some network and FUSE mounts answer to fsync of a folder: the rename is as durable there as it gets
_CANNOT_SYNC = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP})

_SYNCABLE = os.O_RDWR if os.name == "nt" else os.O_RDONLY  # Windows syncs only what is open for writing


def check_writable(path: Path) -> None:
    """Refuse an output that cannot be written before any work is spent on it."""
    folder = path.parent
    if path.is_dir():
        raise UserError(f"{path} is a folder; give a file name for the output")
    if not folder.is_dir():
        raise UserError(f"{path} cannot be written: the folder {folder} does not exist; make it first")
    if not os.access(folder, os.W_OK):
        raise UserError(f"{path} cannot be written: no permission to write into {folder}; choose another folder")


def check_free(path: Path, overwrite: bool) -> Path:
    """Where an output goes: the path, or with ``overwrite`` what a link there points to. UserError for what exists, links
    included, without it."""
    if not overwrite and (path.exists() or path.is_symlink()):
        what = f"{path} is a link to {path.resolve()}" if path.is_symlink() else f"{path} exists"
        raise UserError(f"{what}; give --overwrite to replace it, or choose another name")
    return path.resolve() if path.is_symlink() else path


def sync(path: Path) -> None:
    """Force a file's bytes or a folder's entries to the disk, where the mount can do that."""
    try:
        handle = os.open(path, _SYNCABLE)
    except OSError:
        if path.is_dir():  # not every system opens folders, and not every folder may be read
            return
        raise
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _CANNOT_SYNC:
            raise
    finally:
        os.close(handle)


def publish(temporary: Path, path: Path, mode: int | None = None) -> None:
    """Give a finished file (or folder) its name; it is on the disk before. ``mode``: its permissions, else as they are."""
    publish_together([(temporary, path)], mode)


def publish_together(files: Sequence[tuple[Path, Path]], mode: int | None = None) -> None:
    """Give (temporary, path), ... their names in this order, after all are on the disk; each folder is synced once."""
    if len(files) == 1:
        sync(files[0][0])
    else:
        with ThreadPoolExecutor(len(files)) as pool:  # the disk takes them at the same time
            list(pool.map(sync, [temporary for temporary, _ in files]))
    for temporary, path in files:
        _rename(temporary, path, mode)
    for folder in {path.parent for _, path in files}:
        sync(folder)


def _rename(temporary: Path, path: Path, mode: int | None) -> None:
    if mode is not None:
        os.chmod(temporary, mode)
    os.replace(temporary, path)


@contextmanager
def temporary_file(path: Path, folder: Path | None = None, mode: int | None = None, durable: bool = True) -> Iterator[Path]:
    """A name to write to, published as ``path`` after the block; on any error it is removed and what stood there stays.

    ``folder``: where temporary files lie, whose owner removes what killed processes left; else beside ``path``. Not
    ``durable``: whole for every process, but a power cut may lose it; for many files that are easily made again.
    """
    claim = Claim(path) if folder is None else None
    temporary = temporary_name(path, folder) if claim is None else claim.path
    try:
        yield temporary
        if durable:
            publish(temporary, path, mode)
        else:
            _rename(temporary, path, mode)
    except BaseException:
        with suppress(OSError):  # the first error says why
            temporary.unlink(missing_ok=True)
        raise
    finally:
        if claim is not None:
            claim.release()


@contextmanager
def output_file(path: Path) -> Iterator[Path]:
    """``temporary_file`` for what a user asked for: a full disk becomes IncompleteError, other refusals UserError."""
    check_writable(path)
    try:
        with temporary_file(path) as temporary:
            yield temporary
    except StylefxError:
        raise
    except (OSError, RuntimeError, AssertionError) as error:
        raise as_sentence(error, path) from error


def publish_text(path: Path, text: str) -> None:
    """Write a text file that a user asked for, whole or not at all, its errors in sentences."""
    with output_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")  # the same bytes on every system


def write_whole(path: Path, data: bytes) -> None:
    """Write a file: a reader sees the old one or the new one, never a part."""
    with temporary_file(path) as temporary:
        temporary.write_bytes(data)


def write_with_card(path: Path, data: bytes, card: Path, description: bytes) -> None:
    """Write a file and the card that vouches for it. Whenever this is killed, no card stands beside a file that it does not
    describe: both are on the disk first, then the old card goes, then the file gets its name, then the new card."""
    with ExitStack() as stack:
        files = []
        for target, content in ((path, data), (card, description)):
            claim = Claim(target)
            stack.callback(claim.drop)
            claim.path.write_bytes(content)
            sync(claim.path)
            files.append((claim.path, target))
        card.unlink(missing_ok=True)
        sync(card.parent)
        publish_together(files)
