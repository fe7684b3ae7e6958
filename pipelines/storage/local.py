"""A corpus in a local folder."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from pipelines.storage.base import BUILD_FOLDER, Storage
from stylefx.errors import UserError
from stylefx.files.atomic import publish_together, temporary_file
from stylefx.files.sentences import explained

READABLE = 0o644  # whatever the builder's umask is: a corpus is for all


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
            with temporary_file(self._target(name), folder, READABLE) as temporary:
                temporary.write_bytes(data)

    def publish(self, temporary: Path, name: str) -> None:
        self.publish_together([(temporary, name)])

    def publish_together(self, files: Sequence[tuple[Path, str]]) -> None:
        """The disk takes them at the same time, and a folder is synced once."""
        with explained(self.where, files[0][1]):
            publish_together([(temporary, self._target(name)) for temporary, name in files], READABLE)

    def _target(self, name: str) -> Path:
        """Its path, in a folder that is there."""
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def local_path(self, name: str) -> Path:
        return self.path(name)

    def local_copy(self, name: str, version: str = "") -> Path:
        path = self.path(name)
        if not path.is_file():
            raise FileNotFoundError(path)
        return path

    def keep(self, name: str) -> None:
        """It lies where it belongs."""

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

    def drop_scratch(self, builder: str, others: set[str] | None = None) -> None:
        super().drop_scratch(builder, others)
        if others is None:
            return
        with contextlib.suppress(OSError), os.scandir(self.root / BUILD_FOLDER / "tmp") as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False) and entry.name not in others:
                    shutil.rmtree(entry.path, ignore_errors=True)
                elif entry.is_file(follow_symlinks=False) and not others:
                    with contextlib.suppress(OSError):  # the next build drops it
                        os.unlink(entry.path)
