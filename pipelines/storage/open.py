"""The storage behind a path or an address."""

from __future__ import annotations

from pathlib import Path

from pipelines.storage.base import Storage
from pipelines.storage.local import LocalStorage
from stylefx.files.address import expanded, is_remote


def open_storage(uri: str | Path) -> Storage:
    """The storage behind a folder's path (``~`` and ``$VAR`` are replaced) or an address."""
    text = expanded(str(uri))
    if is_remote(text):
        from pipelines.storage.objects import ObjectStorage

        return ObjectStorage(text)
    return LocalStorage(text.removeprefix("file://"))
