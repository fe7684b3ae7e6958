"""Corpora on web servers as they are, and local copies that rot."""

from __future__ import annotations

import errno
import socket
from pathlib import Path

import numpy as np
import pytest

from stylefx.corpus.reader import open_corpus
from stylefx.corpus.stores.remote import default_cache
from stylefx.errors import CorpusNotFound, DamageError, IncompleteError
from stylefx.files import mounts, patience
from stylefx.files.patience import Patience
from tests.support.forked import free_port
from tests.support.http_corpus import served
from tests.support.stored_corpus import make_corpus

pytest.importorskip("aiohttp")


@pytest.fixture
def local(tmp_path) -> Path:
    return make_corpus(tmp_path / "c", {"train": [3, 3], "val": [2]})


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(patience, "SERVER", Patience(attempts=4, first_pause_s=0.0))


def audio(corpus) -> list[np.ndarray]:
    return [corpus.read(ref, ["a.input"])["a.input"] for ref in corpus.samples("train")]


def test_a_server_without_range_requests_and_with_a_bad_moment_is_read(local, tmp_path):
    with served(local) as (url, server):
        server.failing[:] = [503, 502]
        corpus = open_corpus(url, cache=tmp_path / "cache")
        server.failing[:] = [503, 429]
        found = audio(corpus)
        assert corpus.groups("val") == {ref.group for ref in corpus.samples("val")}
        assert list(corpus.scan("train")) == corpus.samples("train")
    assert all(np.array_equal(a, b) for a, b in zip(found, audio(open_corpus(local)), strict=True))


def test_tables_that_are_looked_through_once_are_not_kept(local, tmp_path):
    with served(local) as (url, server):
        corpus = open_corpus(url, cache=tmp_path / "cache")
        assert len(corpus.groups("train")) == 6
        assert not list((tmp_path / "cache").glob("??/*"))
        assert sum(name.endswith(".parquet") for name in server.asked) == 2


def test_a_host_that_is_down_is_called_that(local, tmp_path):
    with pytest.raises(IncompleteError, match=r"failed to give index.json \(\w*Connect\w*: .*when it answers again"):
        open_corpus(f"http://127.0.0.1:{free_port()}", cache=tmp_path / "cache")
    with served(local) as (url, server):
        server.failing[:] = [503] * 9
        with pytest.raises(IncompleteError, match=r"failed to give index.json \(ClientResponseError: 503"):
            open_corpus(url, cache=tmp_path / "cache")
        server.failing[:] = [403]
        with pytest.raises(IncompleteError, match=r"refused to give index.json: 403.*check the credentials"):
            open_corpus(url, cache=tmp_path / "cache")
        server.failing.clear()
        with pytest.raises(CorpusNotFound, match="not a finished corpus"):
            open_corpus(f"{url}/nowhere", cache=tmp_path / "cache")


def test_what_clients_call_a_server_that_is_away_is_understood():
    import aiohttp

    away = [
        aiohttp.ServerDisconnectedError(),
        aiohttp.ClientPayloadError("half of it"),
        socket.gaierror(-2, "Name or service not known"),
        OSError(errno.EHOSTUNREACH, "No route to host"),
        OSError(errno.ESTALE, "Stale file handle"),
        type("EndpointConnectionError", (Exception,), {})(),
        type("Answer", (Exception,), {"status_code": 503})(),
    ]
    refused = [ValueError("no"), OSError(errno.ENOSPC, "full"), type("Answer", (Exception,), {"status": 404})()]
    assert [patience._transient(error) for error in away + refused] == [True] * len(away) + [False] * len(refused)


@pytest.mark.parametrize("ending", ["tar", "parquet"])
@pytest.mark.parametrize("how", ["flipped", "cut"])
def test_a_damaged_copy_in_the_cache_is_fetched_again(local, tmp_path, ending, how):
    with served(local) as (url, server):
        first = open_corpus(url, cache=tmp_path / "cache")
        good = audio(first)
        for shard in first.shards_of("train"):
            path = first.store.cache.path(shard.sha256 if ending == "tar" else shard.parquet_sha256)
            data = bytearray(path.read_bytes())
            for place in range(600, len(data), 50):
                data[place] ^= 1
            path.write_bytes(data[: len(data) // 3] if how == "cut" else data)
        server.asked.clear()
        fresh = first if ending == "tar" else open_corpus(url, cache=tmp_path / "cache")
        assert all(np.array_equal(a, b) for a, b in zip(audio(fresh), good, strict=True))
        assert sorted(server.asked)[-2:] == [f"/train/train-00000{i}.{ending}" for i in (0, 1)]


def test_a_sample_whose_bytes_changed_in_the_corpus_itself_is_damage(local):
    corpus = open_corpus(local)
    ref = corpus.samples("train")[1]
    offset, size = ref.members["a.input.flac"]
    with open(local / f"{ref.shard}.tar", "r+b") as file:
        file.seek(offset + size - 1)
        last = file.read(1)
        file.seek(offset + size - 1)
        file.write(bytes([last[0] ^ 1]))
    with pytest.raises(DamageError, match=rf"{ref.shard}.tar of .* is damaged at {ref.key}.a.input.flac"):
        corpus.read(ref, ["a.input"])
    (local / "train/train-000000.parquet").write_bytes(b"no table")
    with pytest.raises(DamageError, match="is not a shard's table"):
        open_corpus(local).samples("train")


def test_copies_lie_in_the_job_s_own_space_on_a_cluster(tmp_path, monkeypatch):
    for name in ("STYLEFX_CACHE", "SLURM_TMPDIR", "TMPDIR", "SLURM_JOB_ID", "PBS_JOBID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/home/me/.cache")
    monkeypatch.setenv("TMPDIR", "/scratch/tmp")
    assert default_cache() == Path("/home/me/.cache/stylefx/shards")  # not in a job
    monkeypatch.setenv("PBS_JOBID", "7")
    assert default_cache() == Path("/scratch/tmp/stylefx/shards")
    monkeypatch.setenv("SLURM_TMPDIR", "/local/7")
    assert default_cache() == Path("/local/7/stylefx/shards")
    monkeypatch.setenv("STYLEFX_CACHE", "/mine")
    assert default_cache() == Path("/mine/shards")


def test_copies_on_a_network_are_warned_of(local, tmp_path, monkeypatch):
    table = tmp_path / "mounts"
    table.write_text(f"disk / ext4 rw 0 0\nserver:/home {tmp_path}/home nfs4 rw 0 0\nssd {tmp_path}/home/ssd xfs rw 0 0\n")
    monkeypatch.setattr(mounts, "_MOUNTS", table)
    kinds = [mounts.network_mount(tmp_path / name) for name in ("cache", "home/cache", "home/ssd/cache", "homes")]
    assert kinds == [None, "nfs4", None, None]
    with served(local) as (url, _):
        assert "itself on a network (nfs4); set data.cache_dir" in open_corpus(url, cache=tmp_path / "home/c").store.warning()
        assert open_corpus(url, cache=tmp_path / "c").store.warning() is None
    assert open_corpus(local).store.warning() is None
