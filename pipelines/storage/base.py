"""Where a corpus lies: a local folder or an object store, behind one small interface.

Writing publishes whole files: a local file as ``stylefx.files.atomic`` does, an
object through one PUT. Nothing else depends on the kind of storage. No conditional PUT is used: two builders write
the same bytes under the same name, so the last one to publish changes nothing.
"""

from __future__ import annotations

import contextlib
import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path

from stylefx.errors import StylefxError

#: everything of a build that is not the corpus: leases, journals, temporary files
BUILD_FOLDER = ".build"


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

    def drop_scratch(self, builder: str, others: set[str] | None = None) -> None:
        """Drop the temporary files of this builder and, where ``others`` names who is at work, of builders that are not. What
        cannot be dropped now is left to the next build."""
        with contextlib.suppress(StylefxError):
            shutil.rmtree(self.scratch(builder), ignore_errors=True)

    @abstractmethod
    def local_path(self, name: str) -> Path:
        """Where ``local_copy`` has the file, and where one is made for ``keep``."""

    @abstractmethod
    def local_copy(self, name: str, version: str = "") -> Path:
        """A local path to read the file from; FileNotFoundError when there is none. A folder answers with its own path.

        What lies elsewhere is fetched, once per node where a ``version`` says which content is meant.
        """

    @abstractmethod
    def keep(self, name: str) -> None:
        """Publish what was made, whole, at ``local_path(name)``; it can still be read there."""

    @abstractmethod
    def delete(self, name: str) -> None:
        """Remove a file; nothing happens when there is none."""

    def exists(self, name: str) -> bool:
        return name in self.list(name.rpartition("/")[0])

    def chunks(self, name: str, size: int, step: int = 8 << 20) -> Iterator[bytes]:
        """The ``size`` bytes of a file, in pieces."""
        for start in range(0, size, step):
            yield self.read(name, start, min(start + step, size))
