"""What a disk refused, as one sentence: which answers of a system mean "full" and which "not allowed" stands here alone."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stylefx.errors import IncompleteError, UserError

_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

_NO_PERMISSION = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})

#: a disk that is broken, or whose server is away
_FAILED = frozenset(
    {errno.EIO, errno.ENXIO, errno.ENODEV, errno.ETIMEDOUT, errno.ENOTCONN, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ESTALE}
)

_NEARLY_FULL_BYTES = 1 << 20


def is_full(error: BaseException) -> bool:
    """Whether a disk or a quota had no room. libsndfile says so in words only."""
    return getattr(error, "errno", None) in _NO_SPACE or "No space left" in str(error)


def explain_write_error(where: str, name: str, error: OSError) -> IncompleteError:
    """What refused to take a file of a work that goes on when it is mended (exit status 3)."""
    if is_full(error):
        return IncompleteError(f"no space left in {where} while writing {name}; free some and run the same command again")
    if error.errno in _NO_PERMISSION:
        return IncompleteError(f"no permission to write {name} in {where}; make it writable and run the same command again")
    reason = error.strerror or str(error) or type(error).__name__
    return IncompleteError(f"{where} failed while {name} was written ({reason}); mend it and run the same command again")


@contextmanager
def explained(where: str, name: str, fetched: bool = False) -> Iterator[None]:
    """Turn what the system answers to the body's writing into the sentences of ``explain_write_error``. ``fetched``: the body
    reads from a server too, whose errors pass; only a full or a forbidden disk is surely ours."""
    try:
        yield
    except OSError as error:
        if fetched and not is_full(error) and error.errno not in _NO_PERMISSION:
            raise
        raise explain_write_error(where, name, error) from error


def as_sentence(error: Exception, path: Path) -> Exception:
    """What a user is told of one output: a disk that is full or fails is IncompleteError, another refusal UserError, the rest
    unchanged.

    libsndfile reports a full disk as text or as a short write, Python as ENOSPC.
    """
    if is_full(error) or shutil.disk_usage(path.parent).free < _NEARLY_FULL_BYTES:
        return IncompleteError(f"{path}: the disk is full, nothing was written; free some space and run the command again")
    if "System error" in str(error):  # libsndfile met a refusal while writing and does not say which
        return IncompleteError(f"{path}: the system took no more data, most likely the disk is full; nothing was written")
    if isinstance(error, OSError) and error.errno in _FAILED:
        return IncompleteError(
            f"{path}: the disk failed ({error.strerror}), nothing was written; mend it and run the command again"
        )
    if isinstance(error, OSError) or type(error).__name__ == "LibsndfileError":
        return UserError(f"{path} cannot be written: {getattr(error, 'strerror', None) or error}")
    return error
