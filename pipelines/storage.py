"""Where a corpus lies: a local folder or an object store, behind one small interface.

Writing publishes whole files: a local file through a unique temporary name, fsync, rename and fsync of the folder; an
object through one PUT. Nothing else depends on the kind of storage. No conditional PUT is used: two builders write
the same bytes under the same name, so the last one to publish changes nothing.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from stylefx.errors import IncompleteError, StylefxError, UserError

T = TypeVar("T")
_WAIT_FOR_SERVER_S = 120.0

#: everything of a build that is not the corpus: leases, journals, temporary files
BUILD_FOLDER = ".build"

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NO_PERMISSION = {errno.EACCES, errno.EPERM, errno.EROFS}


def safe_uri(uri: str) -> str:
    """The address without user, password and query, fit for messages and files."""
    return re.sub(r"\?.*\Z", "", re.sub(r"://[^/@]*@", "://", str(uri)))


def redact(text: str) -> str:
    """Remove what looks like a credential from a foreign message."""
    text = re.sub(r"://[^/@\s]*@", "://", text)
    text = re.sub(
        r"(?i)(aws_?access_?key_?id|secret\w*|token|password|signature|credential)(\W{1,3})[^\s&,;'\")]+", r"\1\2***", text
    )
    return re.sub(r"\b(AKIA|ASIA)[A-Z0-9]{12,}\b", "***", text)


def is_remote(uri: str | Path) -> bool:
    return bool(_SCHEME.match(str(uri))) and not str(uri).startswith("file://")


class Storage(ABC):
    """Files by name, relative to the corpus. ``where`` is the address without credentials."""

    where: str
    remote: bool

    @abstractmethod
    def list(self, prefix: str = "") -> dict[str, int]:
        """{name: size} of every file below the folder ``prefix``, in one pass; {} when there is none."""

    @abstractmethod
    def read(self, name: str, start: int | None = None, end: int | None = None) -> bytes:
        """The file, or its bytes start..end; FileNotFoundError when there is none."""

    @abstractmethod
    def write(self, name: str, data: bytes) -> None:
        """Publish ``data`` as a whole."""

    @abstractmethod
    def publish(self, temporary: Path, name: str) -> None:
        """Publish a file from ``scratch``; the temporary file is gone afterwards."""

    def publish_together(self, files: Sequence[tuple[Path, str]]) -> None:
        """Publish (temporary, name), ...: in this order, each as a whole; all are safe on the disk when it returns."""
        for temporary, name in files:
            self.publish(temporary, name)

    @abstractmethod
    def scratch(self, builder: str) -> Path:
        """A folder for temporary files from which ``publish`` is cheap."""

    @abstractmethod
    def delete(self, name: str) -> None:
        """Remove a file; nothing happens when there is none."""

    def exists(self, name: str) -> bool:
        return name in self.list(name.rpartition("/")[0])

    def chunks(self, name: str, size: int, step: int = 8 << 20) -> Iterator[bytes]:
        """The ``size`` bytes of a file, in pieces."""
        for start in range(0, size, step):
            yield self.read(name, start, min(start + step, size))


def explain_write_error(where: str, name: str, error: OSError) -> IncompleteError | None:
    """A full disk or a lost permission as one sentence with exit status 3; None for anything else."""
    if error.errno in _NO_SPACE:
        return IncompleteError(f"no space left in {where} while writing {name}; free some and run the same command again")
    if error.errno in _NO_PERMISSION:
        return IncompleteError(f"no permission to write {name} in {where}; make it writable and run the same command again")
    return None


@contextmanager
def explained(where: str, name: str) -> Iterator[None]:
    """Turn write errors of the body into sentences."""
    try:
        yield
    except OSError as error:
        sentence = explain_write_error(where, name, error)
        if sentence is None:
            raise
        raise sentence from error


class LocalStorage(Storage):
    """A folder. Names are '/'-separated and stay below it."""

    remote = False

    def __init__(self, root: str | Path):
        self.root = Path(root).absolute()
        self.where = str(self.root)
        if self.root.exists() and not self.root.is_dir():
            raise UserError(f"{self.where} is a file; a corpus is a folder or a URL, choose another --out")

    def path(self, name: str) -> Path:
        if name.startswith("/") or ".." in name.split("/"):
            raise UserError(f"{name!r} is not a name inside {self.where}")
        return self.root / name

    def list(self, prefix: str = "") -> dict[str, int]:
        out: dict[str, int] = {}
        pending = [prefix.strip("/")]
        while pending:
            folder = pending.pop()
            try:
                with os.scandir(self.root / folder) as entries:
                    for entry in entries:
                        name = f"{folder}/{entry.name}" if folder else entry.name
                        if entry.is_dir(follow_symlinks=False):
                            pending.append(name)
                        elif entry.is_file():
                            out[name] = entry.stat().st_size
            except (FileNotFoundError, NotADirectoryError):  # also one that went away while listing
                continue
        return out

    def read(self, name: str, start: int | None = None, end: int | None = None) -> bytes:
        with open(self.path(name), "rb") as file:
            if start is None:
                return file.read()
            file.seek(start)
            return file.read(-1 if end is None else end - start)

    def write(self, name: str, data: bytes) -> None:
        with explained(self.where, name):
            folder = self.root / BUILD_FOLDER / "tmp"
            folder.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=folder, prefix=os.path.basename(name) + ".")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(data)
                self.publish(Path(temporary), name)
            except BaseException:
                Path(temporary).unlink(missing_ok=True)
                raise

    def publish(self, temporary: Path, name: str) -> None:
        with explained(self.where, name):
            target = self.path(name)
            target.parent.mkdir(parents=True, exist_ok=True)
            _sync(temporary)
            os.chmod(temporary, 0o644)
            os.replace(temporary, target)
            _sync(target.parent)

    def publish_together(self, files: Sequence[tuple[Path, str]]) -> None:
        """The disk takes them at the same time, and a folder is synced once."""
        with ThreadPoolExecutor(len(files)) as pool, explained(self.where, files[0][1]):
            list(pool.map(_sync, [temporary for temporary, _ in files]))
            for temporary, name in files:
                self.path(name).parent.mkdir(parents=True, exist_ok=True)
                os.chmod(temporary, 0o644)
                os.replace(temporary, self.path(name))
            for folder in {self.path(name).parent for _, name in files}:
                _sync(folder)

    def scratch(self, builder: str) -> Path:
        folder = self.root / BUILD_FOLDER / "tmp" / builder
        with explained(self.where, f"{BUILD_FOLDER}/tmp"):
            folder.mkdir(parents=True, exist_ok=True)
        return folder

    def delete(self, name: str) -> None:
        with explained(self.where, name):
            self.path(name).unlink(missing_ok=True)

    def exists(self, name: str) -> bool:
        return self.path(name).is_file()


def _sync(path: Path) -> None:
    """Force a file or a folder's entries to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network file systems cannot sync folders
            raise
    finally:
        os.close(handle)


def patiently(where: str, what: str, call: Callable[[], T]) -> T:
    """Repeat a request while the server is away; what it refuses is an IncompleteError of one sentence."""
    deadline, pause_s = time.monotonic() + _WAIT_FOR_SERVER_S, 0.2
    while True:
        try:
            return call()
        except (FileNotFoundError, StylefxError):
            raise
        except PermissionError as error:
            raise IncompleteError(f"{where} refused to {what}: {redact(str(error))}; check the credentials") from None
        except Exception as error:  # noqa: BLE001 - foreign drivers raise their own classes; a network is a process boundary
            if not _transient(error) or time.monotonic() > deadline:
                raise IncompleteError(
                    f"{where} failed to {what} ({type(error).__name__}: {redact(str(error))[:300]}); "
                    "when it answers again, run the same command again"
                ) from None  # the cause may carry signed requests
        time.sleep(pause_s)
        pause_s = min(pause_s * 2, 5.0)


def _transient(error: BaseException) -> bool:
    """Whether waiting may help: connections, time-outs and answers 5xx; not a refusal."""
    chain: BaseException | None = error
    while chain is not None:
        name = type(chain).__name__
        if isinstance(chain, (ConnectionError, TimeoutError)) or "Connect" in name or "Timeout" in name or "HTTPClient" in name:
            return True
        if isinstance(chain, OSError) and chain.errno in (errno.EIO, errno.EBUSY, errno.EAGAIN):
            return True
        chain = chain.__cause__ or chain.__context__
    return bool(re.search(r"\b(50[0234]|SlowDown|ServiceUnavailable|InternalError|RequestTimeout)\b", str(error)))


def open_storage(uri: str | Path) -> Storage:
    """The storage behind a folder's path or an address."""
    text = str(uri)
    if is_remote(text):
        from pipelines.storage_objects import ObjectStorage

        return ObjectStorage(text)
    return LocalStorage(text.removeprefix("file://"))


def clear_scratch(storage: Storage, builder: str, others: set[str] | None = None) -> None:
    """Drop the temporary files of this builder and of builders that are no longer at work."""
    shutil.rmtree(storage.scratch(builder), ignore_errors=True)
    if not isinstance(storage, LocalStorage) or others is None:
        return
    with os.scandir(storage.root / BUILD_FOLDER / "tmp") as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False) and entry.name not in others:
                shutil.rmtree(entry.path, ignore_errors=True)
            elif entry.is_file(follow_symlinks=False) and not others:
                Path(entry.path).unlink(missing_ok=True)
