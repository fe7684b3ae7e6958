"""A file appears whole or not at all, also on mounts that cannot sync folders, and whenever the writer is killed."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from click.testing import CliRunner

from pipelines.storage.local import LocalStorage
from pipelines.storage.parquet import AtomicParquet
from stylefx.audio.writing import write_audio
from stylefx.cli import cli
from stylefx.effects.presets import deepafx_st_chain
from stylefx.errors import IncompleteError, UserError
from stylefx.files.atomic import (
    output_file,
    publish,
    publish_text,
    publish_together,
    temporary_file,
    write_whole,
    write_with_card,
)
from stylefx.inference.rendering.file import render_file
from stylefx.inference.settings_file import StyleSettings


@pytest.fixture(params=[errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP])
def unsyncable_folders(request, monkeypatch):
    """A mount that answers fsync of a folder with an error, and fsync of a file as ever."""
    sync = os.fsync

    def fsync(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(request.param, os.strerror(request.param))
        sync(handle)

    monkeypatch.setattr(os, "fsync", fsync)


def _audio(path: Path) -> Path:
    write_audio(path, 0.1 * np.random.default_rng(0).standard_normal((1, 8000)).astype(np.float32), 16000, "float32")
    return path


def _settings() -> StyleSettings:
    chain = deepafx_st_chain()
    return StyleSettings.of(chain, chain.settings(np.full(chain.num_controls, 0.5)), sample_rate=24000)


@pytest.mark.usefixtures("unsyncable_folders")
def test_render_and_export_write_on_a_mount_that_cannot_sync_folders(tmp_path):
    source, settings = _audio(tmp_path / "in.wav"), tmp_path / "s.json"
    _settings().save(settings)
    assert render_file(source, _settings(), tmp_path / "out.wav").frames == 8000
    done = CliRunner().invoke(cli, ["export", str(settings), "--to", "ffmpeg", "-o", str(tmp_path / "out.txt")])
    assert done.exit_code == 0, done.output
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.wav", "out.txt", "out.wav", "s.json"]


@pytest.mark.usefixtures("unsyncable_folders")
def test_transfer_writes_on_a_mount_that_cannot_sync_folders(tmp_path):
    source = _audio(tmp_path / "in.wav")
    arguments = [str(source), str(source), "-o", str(tmp_path / "out.wav"), "--settings", str(tmp_path / "s.json")]
    done = CliRunner().invoke(cli, ["transfer", *arguments, "--figure", str(tmp_path / "f.png")])
    assert done.exit_code == 0, done.output
    assert sorted(p.name for p in tmp_path.iterdir()) == ["f.png", "in.wav", "out.wav", "s.json"]


@pytest.mark.usefixtures("unsyncable_folders")
def test_corpora_and_their_tables_are_written_there_too(tmp_path):
    LocalStorage(tmp_path / "corpus").write("train/a.json", b"{}")
    table = AtomicParquet(tmp_path / "t.parquet", pa.schema({"a": pa.int64()}))
    table.write(pa.table({"a": [1]}))
    table.publish()
    assert (tmp_path / "corpus/train/a.json").read_bytes() == b"{}"
    assert (tmp_path / "t.parquet").stat().st_size > 0


def test_a_folder_that_fails_to_reach_the_disk_is_an_error_and_not_passed_over(tmp_path, monkeypatch):
    sync = os.fsync

    def fsync(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(errno.EIO, "input/output error")
        sync(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError, match="input/output error"):
        write_whole(tmp_path / "a", b"1")


def test_the_bytes_are_on_the_disk_before_the_name_and_the_name_before_the_return(tmp_path, monkeypatch):
    events, sync, replace = [], os.fsync, os.replace
    monkeypatch.setattr(
        os, "fsync", lambda h: (events.append("folder" if stat.S_ISDIR(os.fstat(h).st_mode) else "bytes"), sync(h))
    )
    monkeypatch.setattr(os, "replace", lambda a, b: (events.append("name"), replace(a, b)))
    write_whole(tmp_path / "a", b"1")
    assert events == ["bytes", "name", "folder"]


def _fail_half_way(write, path: Path) -> None:
    with write(path) as temporary:
        temporary.write_bytes(b"half of the ne")
        raise ZeroDivisionError


@pytest.mark.parametrize("write", [temporary_file, output_file])
def test_an_error_while_writing_leaves_the_old_file_and_no_litter(tmp_path, write):
    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(ZeroDivisionError):
        _fail_half_way(write, tmp_path / "a")
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("a", b"old")]


def test_two_writers_of_one_file_do_not_write_into_one_another(tmp_path):
    with temporary_file(tmp_path / "a") as first, temporary_file(tmp_path / "a") as second:
        assert first != second
        first.write_bytes(b"first")
        second.write_bytes(b"second")
    assert (tmp_path / "a").read_bytes() == b"first"  # published last
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_a_name_as_long_as_names_may_be_is_written(tmp_path):
    write_whole(tmp_path / ("ä" * 125 + ".wav"), b"1")
    assert len(list(tmp_path.iterdir())) == 1


def test_what_a_user_asked_for_has_the_users_permissions(tmp_path):
    before = os.umask(0o027)
    try:
        publish_text(tmp_path / "a", "1")
        _audio(tmp_path / "b.wav")
    finally:
        os.umask(before)
    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("a", "b.wav")] == [0o640, 0o640]


def test_a_full_disk_and_a_folder_that_is_missing_are_sentences(tmp_path):
    with pytest.raises(IncompleteError, match="the disk is full, nothing was written"), output_file(tmp_path / "a"):
        raise OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(UserError, match="does not exist; make it first"):
        publish_text(tmp_path / "none" / "a", "1")
    assert list(tmp_path.iterdir()) == []


def test_a_whole_folder_is_published_like_a_file(tmp_path):
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "a").write_bytes(b"1")
    publish(tmp_path / "new", tmp_path / "there")
    assert (tmp_path / "there" / "a").read_bytes() == b"1"


class _Killed(BaseException):
    """Stands for a kill: nothing catches it."""


@pytest.mark.parametrize("last", range(12))
def test_wherever_a_write_is_killed_no_card_stands_beside_a_file_it_does_not_describe(tmp_path, monkeypatch, last):
    path, card = tmp_path / "m.safetensors", tmp_path / "m.json"
    write_with_card(path, b"old", card, b"of old")
    calls = []

    def dying(call):
        def wrapped(*arguments, **options):
            if len(calls) == last:
                raise _Killed
            calls.append(call)
            return call(*arguments, **options)

        return wrapped

    with monkeypatch.context() as patched:
        for name in ("fsync", "replace", "unlink"):
            patched.setattr(os, name, dying(getattr(os, name)))
        with contextlib.suppress(_Killed):
            write_with_card(path, b"new", card, b"of new")
    found = path.read_bytes(), card.read_bytes() if card.exists() else None
    assert found in [(b"old", b"of old"), (b"old", None), (b"new", None), (b"new", b"of new")]


def test_files_published_together_get_their_names_in_the_order_given(tmp_path):
    for name in "ab":
        (tmp_path / f"{name}.part").write_text(name)
    (tmp_path / "b").mkdir()  # the second cannot get its name
    with pytest.raises(OSError, match="b"):
        publish_together([(tmp_path / "a.part", tmp_path / "a"), (tmp_path / "b.part", tmp_path / "b")])
    assert (tmp_path / "a").read_text() == "a"
