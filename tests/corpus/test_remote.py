"""Corpora behind a URL: fetched once, checked on arrival, retried, bounded; damage is named."""

from __future__ import annotations

import multiprocessing
import time
from pathlib import Path

import fsspec
import numpy as np
import pytest

from stylefx.corpus.dataset import TrainingSet
from stylefx.corpus.loader import TrainingLoader
from stylefx.corpus.reader import open_corpus
from stylefx.corpus.stores import remote
from stylefx.errors import DamageError, IncompleteError, UserError
from stylefx.files import patience
from stylefx.files.patience import Patience
from tests.support.stored_corpus import make_corpus


@pytest.fixture
def local(tmp_path) -> Path:
    return make_corpus(tmp_path / "c", {"train": [3, 3, 3]})


@pytest.fixture
def url(local):
    """The same corpus in a file system that is not local."""
    fs = fsspec.filesystem("memory")
    fs.put(str(local), "/bucket/corpus", recursive=True)
    yield "memory://bucket/corpus"
    fs.rm("/bucket", recursive=True)


def cached(tmp_path) -> list[Path]:
    return list((tmp_path / "cache").glob("??/*"))


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(patience, "SERVER", Patience(attempts=5, first_pause_s=0.0))


def test_a_remote_corpus_gives_the_batches_of_the_local_one(local, url, tmp_path):
    steps = {}
    for name, path in (("local", local), ("remote", url)):
        data = TrainingSet([open_corpus(path, cache=tmp_path / "cache")], seed=1, window=1)
        steps[name] = list(TrainingLoader(data, micro=3, workers=2, stop_step=6))
    for a, b in zip(steps["local"], steps["remote"], strict=True):
        assert a.keys == b.keys
        assert np.array_equal(a.input, b.input)


def test_the_cache_is_bounded_and_what_was_used_last_stays(url, tmp_path, monkeypatch):
    monkeypatch.setattr(remote, "_SPARE_S", 0.0)
    corpus = open_corpus(url, cache=tmp_path / "cache", cache_bytes=1)
    shards = corpus.shards_of("train")
    limit = sum(2 * s.bytes for s in shards[:1]) + 1000
    corpus.store.cache.limit_bytes = limit
    for shard in shards:
        corpus.store.path(f"{shard.name}.tar", shard.sha256)
        time.sleep(0.01)
        files = cached(tmp_path)
        assert sum(p.stat().st_size for p in files) <= limit
    assert shards[-1].sha256 in {p.name for p in files}
    assert shards[0].sha256 not in {p.name for p in files}


def test_two_windows_must_fit_the_cache(url, tmp_path):
    with pytest.raises(UserError, match=r"two windows of 2 shards .* enlarge data.cache_gb or lower data.window_shards"):
        TrainingSet([open_corpus(url, cache=tmp_path / "cache", cache_bytes=1000)], window=2)


def test_the_next_window_is_fetched_ahead(url, tmp_path):
    corpus = open_corpus(url, cache=tmp_path / "cache")
    data = TrainingSet([corpus], window=1)
    data.prefetch(0)
    order = data.order.orders[0]
    wanted = {data.shards[0][order.window_shards(0, w)[0]].sha256 for w in (0, 1)}
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and not wanted <= {p.name for p in cached(tmp_path)}:
        time.sleep(0.01)
    there = {p.name for p in cached(tmp_path)}
    assert wanted <= there
    assert not {s.sha256 for s in data.shards[0]} <= there


def test_a_connection_that_fails_now_and_then_is_retried(url, tmp_path, monkeypatch):
    corpus = open_corpus(url, cache=tmp_path / "cache")
    failures, copy = iter([True, True, False, True]), corpus.store._copy
    monkeypatch.setattr(corpus.store, "_copy", lambda name, to: flaky(next(failures, False)) or copy(name, to))
    assert corpus.read(corpus.table("train/train-000000")[0], ["a.input"])["a.input"].shape == (1, 4096)


def flaky(fails: bool) -> None:
    if fails:
        raise ConnectionError("reset by peer")


def test_a_connection_that_stays_down_ends_in_a_resumable_error_that_names_the_file(url, tmp_path, monkeypatch):
    corpus = open_corpus(url, cache=tmp_path / "cache")
    monkeypatch.setattr(corpus.store, "_copy", lambda name, to: flaky(True))
    with pytest.raises(
        IncompleteError,
        match=r"failed to give train/train-000001.parquet \(ConnectionError: reset by peer\); .* run the same command again",
    ):
        corpus.table("train/train-000001")


def test_a_damaged_shard_is_named_and_leaves_nothing_in_the_cache(local, url, tmp_path):
    corpus = open_corpus(url, cache=tmp_path / "cache")
    ref = corpus.table("train/train-000001")[0]
    fs = fsspec.filesystem("memory")
    data = bytearray(fs.cat_file("/bucket/corpus/train/train-000001.tar"))
    data[700] ^= 1
    fs.pipe_file("/bucket/corpus/train/train-000001.tar", bytes(data))
    with pytest.raises(DamageError, match=r"train/train-000001.tar is damaged: its checksum"):
        corpus.read(ref, ["a.input"])
    assert corpus._by_name[ref.shard].sha256 not in {p.name for p in cached(tmp_path)}


def test_an_unfinished_remote_corpus_is_refused(url, tmp_path):
    fsspec.filesystem("memory").rm("/bucket/corpus/index.json")
    with pytest.raises(UserError, match="not a finished corpus"):
        open_corpus(url, cache=tmp_path / "cache")
    with pytest.raises(UserError, match="nosuch"):
        open_corpus("nosuch://a/b", cache=tmp_path / "cache")


def _fetch(root: str, cache: str, log: str) -> None:
    """In a process of its own: read everything, and note every file that was really copied."""
    store = remote.RemoteStore(f"file://{root}", Path(cache))
    copy = store._copy

    def noted(name, to):
        with open(log, "a") as f:
            f.write(name + "\n")
        time.sleep(0.05)
        return copy(name, to)

    store._copy = noted
    for shard in open_corpus(root).shards_of("train"):
        assert store.path(f"{shard.name}.tar", shard.sha256).stat().st_size == shard.bytes


def test_the_processes_of_a_node_fetch_every_file_once(local, tmp_path):
    context = multiprocessing.get_context("fork")
    arguments = (str(local), str(tmp_path / "cache"), str(tmp_path / "log"))
    processes = [context.Process(target=_fetch, args=arguments) for _ in range(3)]
    for p in processes:
        p.start()
    for p in processes:
        p.join(60)
    assert [p.exitcode for p in processes] == [0, 0, 0]
    names = (tmp_path / "log").read_text().split()
    assert len(names) == len(set(names)) == 3


def test_a_file_that_another_process_evicts_while_we_look_is_fetched_again(url, tmp_path):
    corpus = open_corpus(url, cache=tmp_path / "cache")
    ref = corpus.table("train/train-000000")[0]
    original, calls = corpus.store.path, []

    def path(name, sha256=None):
        found = original(name, sha256)
        if name.endswith(".tar") and not calls:
            calls.append(name)
            found.unlink()
        return found

    corpus.store.path = path
    assert corpus.read(ref, ["a.input"])["a.input"].shape == (1, 4096)
