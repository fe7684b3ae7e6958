"""Folders and object stores behind one interface: whole files or nothing."""

from __future__ import annotations

import os

import pytest

from pipelines.storage.local import LocalStorage
from pipelines.storage.open import open_storage
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


def test_a_folder_answers_with_its_own_path_and_a_store_with_a_copy_as_it_is_now(storage):
    with pytest.raises(FileNotFoundError):
        storage.local_copy("plan-0000.parquet")
    storage.write("plan-0000.parquet", b"first")
    assert storage.local_copy("plan-0000.parquet").read_bytes() == b"first"
    assert storage.local_copy("plan-0000.parquet") == storage.local_path("plan-0000.parquet")
    storage.write("plan-0000.parquet", b"second")
    assert storage.local_copy("plan-0000.parquet").read_bytes() == b"second"
    if not storage.remote:
        assert storage.local_copy("plan-0000.parquet") == storage.path("plan-0000.parquet")
    storage.delete("plan-0000.parquet")
    with pytest.raises(FileNotFoundError):
        storage.local_copy("plan-0000.parquet")
    assert not storage.local_path("plan-0000.parquet").exists()  # nor is a stale one found there


def test_a_version_is_fetched_once_and_another_version_anew(tmp_path, monkeypatch):
    storage = open_storage(f"memory://{tmp_path.name}/versions")
    monkeypatch.setattr(storage, "scratch", lambda name: tmp_path)
    reads, read = [], storage.read
    monkeypatch.setattr(storage, "read", lambda name: reads.append(name) or read(name))
    storage.write("plan", b"first")
    assert [storage.local_copy("plan", "v1").read_bytes() for _ in range(3)] == [b"first"] * 3
    storage.write("plan", b"second")
    assert storage.local_copy("plan", "v2").read_bytes() == b"second"
    assert reads == ["plan", "plan"]


def test_what_is_made_at_the_local_path_is_kept_and_stays_readable(storage):
    path = storage.local_path("catalog-0000.parquet")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"made here")
    storage.keep("catalog-0000.parquet")
    assert storage.read("catalog-0000.parquet") == b"made here"
    assert path.read_bytes() == b"made here"


def test_scratch_of_builders_that_are_gone_is_dropped_and_that_of_others_stays(tmp_path):
    storage = LocalStorage(tmp_path)
    for builder in ("me", "other", "gone"):
        (storage.scratch(builder) / "x").write_bytes(b"1")
    storage.drop_scratch("me", {"other"})
    assert [p.name for p in (tmp_path / ".build" / "tmp").iterdir()] == ["other"]
