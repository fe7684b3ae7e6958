"""Processes that read give what threads give, say what threads say, and leave nothing behind, however a run ends."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from stylefx.corpus.dataset import TrainingSet
from stylefx.corpus.loader import TrainingLoader
from stylefx.corpus.pairs import DryPairs
from stylefx.corpus.processes.job import sendable
from stylefx.corpus.processes.loader import ProcessLoader
from stylefx.corpus.reader import open_corpus
from stylefx.corpus.tolerance import Tolerance
from stylefx.errors import DamageError, IncompleteError, Interrupted, UserError
from stylefx.files import patience
from stylefx.training.setup import open_corpora, training_loader, training_set
from tests.support.forked import wait_until
from tests.support.http_corpus import served
from tests.support.stored_corpus import make_corpus
from tests.training.conftest import small

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="looks for processes in /proc"),
]


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return make_corpus(tmp_path_factory.mktemp("c") / "c", {"train": [5, 3, 4, 6], "val": [4]}, dry=True)


def data_of(path) -> TrainingSet:
    return TrainingSet([open_corpus(path)], seed=4, window=2, crop=1500)


def loader(path, processes: int, **options) -> TrainingLoader:
    options = {"micro": 2, "accumulation": 2, "stop_step": 6, **options}
    return ProcessLoader(data_of(path), processes=processes, **options) if processes else TrainingLoader(data_of(path), **options)


def content(batches) -> list[tuple]:
    """Everything that batches hold, exactly."""

    def plain(value):
        return (value.dtype, value.shape, value.tobytes()) if isinstance(value, np.ndarray) else value

    return [tuple(plain(getattr(batch, f.name)) for f in fields(batch)) for batch in batches]


def children() -> list[int]:
    """The reading processes of this one."""
    found = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    pids = [int(pid) for file in found for pid in file.read_text().split()]
    return [pid for pid in pids if b"stylefx.corpus.processes.child" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def is_there(pid: int) -> bool:
    """Running, not only kept in the table."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def possessions() -> tuple[set[str], int]:
    """Names in shared memory, and how many files are open."""
    return set(os.listdir("/dev/shm")), len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_any_number_of_processes_makes_the_batches_that_threads_make(path, processes):
    kept = list(loader(path, processes, workers=3, ahead=2))  # while the memory of the processes is used again
    assert content(kept) == content(loader(path, 0))


def test_after_a_resume_and_on_any_rank_the_batches_are_the_same(path):
    for rank in range(2):
        place = {"rank": rank, "world": 2, "start_step": 3}
        assert content(loader(path, 2, ahead=1, **place)) == content(loader(path, 0, **place))


@pytest.mark.parametrize("render", ["online", "recipe"])
def test_what_is_rendered_while_it_is_read_is_the_same_too_and_no_process_loads_torch(path, render):
    online = {"data__online": {"preset": "deepafx-st", "reference": {"content": "both"}}} if render == "online" else {}
    batches = {}
    for processes in (0, 1):
        config = small(path, steps=3, data__render=render, data__crop_samples=None, data__reader_processes=processes, **online)
        made = training_loader(config, training_set(config, open_corpora(config)), micro=4)
        batches[processes] = []
        for batch in made:
            batches[processes].append(batch)
            assert len(children()) == processes
            assert not any("torch" in Path(f"/proc/{pid}/maps").read_text() for pid in children())
    assert content(batches[0]) == content(batches[1])


def test_the_memory_that_batches_are_copied_to_is_the_callers(path):
    given = []

    def allocate(shape):
        given.append(np.empty(shape, np.float32))
        return given[-1]

    batches = list(loader(path, 1, stop_step=2, allocate=allocate))
    assert [id(b.input) for b in batches] == [id(a) for a in given[::3]]


# -- damage and errors


@pytest.fixture
def damaged(path, tmp_path):
    """Two of eighteen samples cannot be decoded."""
    copy = shutil.copytree(path, tmp_path / "damaged")
    for ref in (refs := open_corpus(copy).samples("train"))[4], refs[11]:
        with open(copy / f"{ref.shard}.tar", "r+b") as file:
            for half in ("a", "b"):
                file.seek(ref.members[f"{half}.target.flac"][0])
                file.write(bytes(100))
    return copy, {refs[4].key, refs[11].key}


def test_damage_over_all_processes_is_counted_named_and_stood_in_for_as_with_threads(damaged):
    damaged_path, keys = damaged
    found = {}
    for processes in (0, 2):
        tolerance = Tolerance(0.2, 18)
        batches = content(loader(damaged_path, processes, tolerance=tolerance))
        found[processes] = batches, tolerance.names, tolerance.news()
    assert found[0] == found[2]
    assert set(found[2][1]) == keys


@pytest.mark.parametrize("share", [0.0, 0.05])
def test_too_much_damage_ends_with_the_sentence_of_threads(damaged, share):
    said = []
    for processes in (0, 2):
        with pytest.raises(DamageError) as error:
            list(loader(damaged[0], processes, workers=0, tolerance=Tolerance(share, 18)))
        said.append(str(error.value))
    assert said[0] == said[1]
    assert ("2 of 18 samples are damaged, more than data.max_damaged_share 0.05" in said[0]) == bool(share)


def test_an_error_of_a_process_keeps_its_type_and_its_sentence(path, tmp_path):
    copy, said = shutil.copytree(path, tmp_path / "c"), []
    for file in copy.glob("train/*.tar"):
        file.unlink()
    for processes in (0, 2):
        with pytest.raises(UserError, match=r"is missing although the corpus lists it") as error:
            list(loader(copy, processes, workers=0))
        said.append((type(error.value), str(error.value)))
    assert said[0] == said[1]
    assert not children()


class Foreign(Exception):
    """Like many clients' errors it cannot be made from its text alone."""

    def __init__(self, code, reason):
        super().__init__(f"{code}: {reason}")


def test_an_error_that_cannot_be_sent_says_the_same():
    assert str(sendable(Foreign(5, "away"))) == "Foreign: 5: away"
    sent = sendable(Interrupted("stopped", 15))
    assert (type(sent), sent.exit_status) == (Interrupted, 143)


def test_what_cannot_be_sent_to_a_process_is_refused_with_the_cure(path):
    data = TrainingSet([corpus := open_corpus(path)], pairs=DryPairs({corpus: lambda *a, **k: None}))
    with pytest.raises(UserError, match=r"data.reader_processes is 2, and .* cannot be sent to a process .*; set it to 0"):
        next(iter(ProcessLoader(data, processes=2, micro=2, stop_step=2)))


def test_a_stream_refuses_processes(path):
    stream = {"data__stream": "webdataset", "data__sample_rate": 24000, "data__half_frames": 4096}
    with pytest.raises(UserError, match=r"data.reader_processes is 3, and a stream is read by threads only; set it to 0"):
        small(path, data__reader_processes=3, **stream)


# -- ends


def test_a_killed_process_ends_the_run_in_one_sentence(path):
    batches = iter(loader(path, 2, ahead=1))
    next(batches)
    os.kill(children()[1], signal.SIGKILL)
    with pytest.raises(IncompleteError, match=r"^reading process \d of 2 was ended by SIGKILL, as the system does where memory "
                       r"runs out; free memory or lower data.reader_processes, and go on with --resume$"):  # fmt: skip
        list(batches)
    assert not children()


def test_signals_are_for_the_process_that_trains(path):
    """Also those that come before a process can say that it ignores them."""
    batches, taken, done = iter(loader(path, 2)), [], threading.Event()

    def read():
        try:
            taken.extend(batches)
        finally:
            done.set()

    thread = threading.Thread(target=read)
    thread.start()
    while not done.wait(0.01):
        for pid in children():
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
                os.kill(pid, number)
    thread.join()
    assert content(taken) == content(loader(path, 0))


def test_a_closed_loader_leaves_no_process_no_file_and_no_memory(path):
    before = possessions()
    batches = iter(loader(path, 2, stop_step=1000))
    next(batches)
    pids = children()
    assert len(pids) == 2
    began = time.monotonic()
    batches.close()
    assert time.monotonic() - began < 3.0
    assert not any(is_there(pid) for pid in pids)
    assert possessions() == before


_TRAINS = """
import sys, time
from pathlib import Path
from tests.corpus.test_reading_processes import children, loader
batches = iter(loader(Path(sys.argv[1]), 2, stop_step=1000))
next(batches)
print(*children(), flush=True)
time.sleep(100)
"""


def test_processes_go_and_their_memory_too_when_the_one_that_trains_is_killed(path):
    before = set(os.listdir("/dev/shm"))
    with subprocess.Popen([sys.executable, "-c", _TRAINS, str(path)], stdout=subprocess.PIPE, text=True) as process:
        pids = [int(pid) for pid in process.stdout.readline().split()]
        assert [is_there(pid) for pid in pids] == [True, True]
        process.kill()
    wait_until(lambda: not any(is_there(pid) for pid in pids), 10)
    assert set(os.listdir("/dev/shm")) <= before


# -- remote corpora


def test_processes_share_the_cache_fetch_ahead_and_fetch_every_file_once(path, tmp_path):
    with served(path) as (url, handler):
        data = TrainingSet([open_corpus(url, cache=tmp_path / "cache")], seed=4, window=2, crop=1500)
        first = iter(ProcessLoader(data, processes=2, micro=2, stop_step=2))
        next(first)  # of the first window of two shards; the other one is fetched ahead
        wait_until(lambda: len(list((tmp_path / "cache").glob("??/[!.]*"))) == 8, 20)
        first.close()
        assert content(ProcessLoader(data, processes=2, micro=2, accumulation=2, stop_step=6)) == content(loader(path, 0))
    fetched = [name for name in handler.asked if name.startswith("/train")]
    assert len(fetched) == len(set(fetched)) == 8


def test_a_store_that_is_away_holds_up_no_end(path, tmp_path):
    with served(path) as (url, handler):
        data = TrainingSet([open_corpus(url, cache=tmp_path / "cache")], seed=4, window=2)
        handler.failing.extend([503] * 10000)
        batches = iter(ProcessLoader(data, processes=2, micro=2, stop_step=6))
        ends = threading.Timer(6.0, patience.ending.set)
        ends.start()
        began = time.monotonic()
        try:
            with pytest.raises(IncompleteError, match="the run ends"):
                next(batches)
            assert 5.0 < time.monotonic() - began < 10.0
            assert not children()
        finally:
            ends.join()
            patience.ending.clear()
