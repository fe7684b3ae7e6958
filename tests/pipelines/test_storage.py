"""Folders and object stores behind one interface: whole files or nothing."""

from __future__ import annotations

import os

import pytest

from pipelines.storage import LocalStorage, open_storage
from stylefx.errors import IncompleteError


@pytest.fixture(params=["folder", "memory"])
def storage(request, tmp_path):
    if request.param == "folder":
        return open_storage(tmp_path / "corpus")
    return open_storage(f"memory://{tmp_path.name}/corpus")


def test_what_is_written_is_listed_read_and_deleted(storage):
    assert storage.list() == {}
    storage.write("train/a.tar", b"0123456789")
    storage.write("corpus.json", b"{}")
    assert storage.list() == {"train/a.tar": 10, "corpus.json": 2}
    assert storage.list("train") == {"train/a.tar": 10}
    assert storage.read("train/a.tar") == b"0123456789"
    assert storage.read("train/a.tar", 2, 5) == b"234"
    assert b"".join(storage.chunks("train/a.tar", 10, 3)) == b"0123456789"
    assert storage.exists("corpus.json")
    assert not storage.exists("train/b.tar")
    storage.write("corpus.json", b"[1]")
    assert storage.read("corpus.json") == b"[1]"
    storage.delete("corpus.json")
    storage.delete("corpus.json")
    assert storage.list() == {"train/a.tar": 10}
    with pytest.raises(FileNotFoundError):
        storage.read("corpus.json")


def test_publishing_moves_a_temporary_file(storage):
    temporary = storage.scratch("builder") / "x.tar"
    temporary.write_bytes(b"tar")
    storage.publish(temporary, "val/x.tar")
    assert not temporary.exists()
    assert storage.read("val/x.tar") == b"tar"


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    storage = LocalStorage(tmp_path)
    storage.write("index.json", b"old")

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(IncompleteError, match=r"no space left in .* while writing index\.json"):
        storage.write("index.json", b"new")
    assert storage.list() == {"index.json": 3}
    assert storage.read("index.json") == b"old"


def test_files_and_folders_are_synced_before_a_name_is_given(tmp_path, monkeypatch):
    """The order that survives a power cut: data, rename, folder."""
    calls = []
    sync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (calls.append("sync"), sync(handle)))
    monkeypatch.setattr(os, "replace", lambda a, b: (calls.append("rename"), replace(a, b)))
    LocalStorage(tmp_path).write("a", b"1")
    assert calls == ["sync", "rename", "sync"]


def test_files_that_are_published_together_appear_after_all_are_on_the_disk(storage, monkeypatch):
    calls = []
    replace, sync = os.replace, os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: (calls.append("sync"), sync(handle)))
    monkeypatch.setattr(os, "replace", lambda a, b: (calls.append(str(b)[-6:]), replace(a, b)))
    folder = storage.scratch("me")
    for name in ("x", "y"):
        (folder / name).write_bytes(name.encode())
    storage.publish_together([(folder / "x", "val/x.tar"), (folder / "y", "val/y.pqt")])
    assert (storage.read("val/x.tar"), storage.read("val/y.pqt")) == (b"x", b"y")
    assert not list(folder.iterdir())
    if not storage.remote:
        assert calls == ["sync", "sync", "/x.tar", "/y.pqt", "sync"]
