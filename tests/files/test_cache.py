"""What is kept on this machine: in STYLEFX_CACHE, within its limit, made once by whoever is first."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from pathlib import Path

import fsspec
import pytest

from pipelines.sources.decoded import default_spool
from stylefx.corpus.reader import open_corpus
from stylefx.files.cache import Cache, cache_folder
from tests.support.stored_corpus import make_corpus


def test_one_variable_moves_everything_that_is_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("STYLEFX_CACHE", str(tmp_path / "here"))
    fs = fsspec.filesystem("memory")
    fs.put(str(make_corpus(tmp_path / "c", {"train": [3]})), "/moved/corpus", recursive=True)
    try:
        corpus = open_corpus("memory://moved/corpus")
        corpus.read(corpus.table("train/train-000000")[0], ["a.input"])
    finally:
        fs.rm("/moved", recursive=True)
    assert len([p for p in (tmp_path / "here" / "shards").glob("??/*") if p.stat().st_size]) == 2  # tar and table
    assert default_spool().folder == tmp_path / "here" / "decoded"


def test_without_it_the_users_cache_folder_is_taken(tmp_path, monkeypatch):
    monkeypatch.delenv("STYLEFX_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "stylefx"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    assert cache_folder() == Path.home() / ".cache" / "stylefx"


def fill(cache: Cache, key: str, size: int = 10) -> Path | None:
    return cache.fill(key, lambda part: part.write_bytes(bytes(size)))


def kept(cache: Cache) -> set[str]:
    return {p.name for p in cache.folder.glob("??/*") if not p.name.startswith(".")}


def test_what_was_used_longest_ago_goes_first_and_the_limit_holds(tmp_path):
    cache = Cache(tmp_path, 25)
    for key in ("aa1", "bb2", "cc3"):
        assert cache.make_room(10)
        fill(cache, key)
        time.sleep(0.01)
        cache.find("aa1")
    assert kept(cache) == {"aa1", "cc3"}
    assert not cache.make_room(26)
    assert kept(cache) == {"aa1", "cc3"}  # nothing goes in vain


def test_what_another_process_may_be_about_to_open_is_spared(tmp_path):
    cache = Cache(tmp_path, 5, spare_s=60)
    path = fill(cache, "aa1")
    cache.make_room()
    assert kept(cache) == {"aa1"}
    os.utime(path, (time.time() - 61,) * 2)
    cache.make_room(keep=path)
    assert kept(cache) == {"aa1"}
    cache.make_room()
    assert kept(cache) == set()


def test_an_attempt_that_fails_leaves_nothing_and_the_next_one_succeeds(tmp_path):
    cache = Cache(tmp_path, None)

    def fails(part: Path) -> None:
        part.write_bytes(b"half")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        cache.fill("aa1", fails)
    assert cache.fill("aa1", lambda part: False) is None
    assert not [p for p in tmp_path.rglob("*") if p.is_file() and ".locks" not in p.parts]
    assert fill(cache, "aa1") == cache.find("aa1")


def _note(folder: str, log: str) -> None:
    def write(part: Path) -> None:
        with open(log, "a") as file:
            file.write("made\n")
        time.sleep(0.1)
        part.write_bytes(b"1")

    assert Cache(Path(folder), None).fill("aa1", write).read_bytes() == b"1"


def test_many_processes_make_a_file_once(tmp_path):
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_note, args=(str(tmp_path / "c"), str(tmp_path / "log"))) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(30)
    assert [process.exitcode for process in processes] == [0] * 4
    assert (tmp_path / "log").read_text() == "made\n"


def _hang(folder: str) -> None:
    def write(part: Path) -> None:
        part.write_bytes(bytes(1000))
        time.sleep(60)

    Cache(Path(folder), None).fill("aa1", write)


def test_a_killed_process_blocks_nobody_and_what_it_left_is_swept(tmp_path):
    process = multiprocessing.get_context("fork").Process(target=_hang, args=(str(tmp_path),))
    process.start()
    part = tmp_path / "aa" / ".aa1.part"
    deadline = time.monotonic() + 20
    while not (part.exists() and part.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.01)
    cache = Cache(tmp_path, 100)
    assert cache.fill("aa1", lambda part: None, wait=False) is None  # it is at it
    cache.make_room()
    assert part.exists()
    os.kill(process.pid, signal.SIGKILL)
    process.join(20)
    cache.make_room()
    assert not part.exists()
    assert fill(cache, "aa1") is not None


def test_threads_of_one_process_wait_for_one_another_too(tmp_path):
    made = []

    def write(part: Path) -> None:
        made.append(1)
        time.sleep(0.1)
        part.write_bytes(b"1")

    threads = [threading.Thread(target=lambda: Cache(tmp_path, None).fill("aa1", write)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert made == [1]


def test_nothing_of_ours_locks_by_the_systems_own_calls():
    """But for an output's temporary file, which is its own lock: a lock file beside it would stay there."""
    root = Path(__file__).parents[2]
    sources = [p for package in ("pipelines", "stylefx") for p in (root / package).rglob("*.py")]
    assert len(sources) > 100
    assert [p.name for p in sources if "fcntl" in p.read_text() or "flock" in p.read_text()] == ["claims.py"]
