"""A hint to the disk changes no byte and asks for every page once."""

from __future__ import annotations

import os
import random
import sys

import pytest

from pipelines.storage.writeback import Writeback


@pytest.mark.skipif(sys.platform != "linux", reason="the hint is Linux's")
def test_every_whole_page_is_begun_once_and_the_file_is_what_was_written(tmp_path, monkeypatch):
    asked, rng, data = [], random.Random(0), b""
    monkeypatch.setattr(os, "posix_fadvise", lambda handle, start, length, advice: asked.append((start, length)))
    with open(tmp_path / "f", "wb") as file:
        writeback = Writeback(file)
        for size in (10, 1 << 20, 0, 3_000_001, 5, 700_000, 700_000):
            piece = rng.randbytes(size)
            data += piece
            file.write(piece)
            writeback.advance(len(data))
    assert (tmp_path / "f").read_bytes() == data
    assert [start for start, _ in asked] == [0, *(start + length for start, length in asked)][:-1]
    assert len(asked) == 3
    assert len(data) - sum(length for _, length in asked) < 1 << 20


def test_a_mount_that_takes_no_advice_is_written_all_the_same(tmp_path, monkeypatch):
    def refuses(*_):
        raise OSError("no advice here")

    monkeypatch.setattr(os, "posix_fadvise", refuses, raising=False)
    with open(tmp_path / "f", "wb") as file:
        writeback = Writeback(file)
        file.write(bytes(1 << 21))
        writeback.advance(1 << 21)
    assert (tmp_path / "f").stat().st_size == 1 << 21
