"""A corpus in loops that are not ours: every sample once, whatever workers and ranks, and resumable."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader

from stylefx.corpus import CorpusDataset, open_corpus
from stylefx.errors import UserError
from tests.support.stored_corpus import make_corpus

TOTAL = 11


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    return make_corpus(tmp_path_factory.mktemp("corpus") / "c", {"train": [6, 5], "val": [2]}, half_frames=500)


def dataset(corpus: Path, **options) -> CorpusDataset:
    return CorpusDataset(str(corpus), window=1, seed=3, **options)


def keys(loader) -> list[str]:
    """What a loader gives in an epoch, in order; items, batches of ours or batches of the loader."""
    return [key for batch in loader for key in ([batch["key"]] if isinstance(batch["key"], str) else batch["key"])]


def test_importing_the_corpus_loads_no_torch():
    code = "import sys, stylefx.corpus as c; assert 'torch' not in sys.modules; c.CorpusDataset; assert 'torch' in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_workers_share_an_epoch_out_and_keep_the_order_of_its_batches(corpus, workers):
    everything = {ref.key for ref in open_corpus(corpus).samples("train")}
    items = keys(DataLoader(dataset(corpus), batch_size=4, num_workers=workers))
    assert len(items) == TOTAL
    assert set(items) == everything
    batches = keys(DataLoader(dataset(corpus, batch_size=2), batch_size=None, num_workers=workers))
    assert batches == keys(DataLoader(dataset(corpus), batch_size=None, num_workers=0))[:10]


def test_a_batch_is_what_training_reads(corpus):
    [first, *_] = DataLoader(dataset(corpus, batch_size=2), batch_size=None)
    assert first["input"].shape == (2, 1, 500)
    assert first["input"].dtype == torch.float32
    found = open_corpus(corpus)
    ref = next(ref for ref in found.samples("train") if ref.key == first["key"][0])
    halves = found.read(ref, ["a.target", "b.target"])
    assert any(torch.equal(first["target"][0], torch.from_numpy(audio)) for audio in halves.values())


def test_ranks_read_apart_and_equally_many_and_leave_out_something_else_in_every_epoch(corpus):
    sets = [dataset(corpus, rank=rank, world=2) for rank in (0, 1)]
    left_out = set()
    everything = {ref.key for ref in open_corpus(corpus).samples("train")}
    for _ in range(6):
        parts = [keys(DataLoader(data, batch_size=None, num_workers=2)) for data in sets]
        assert [len(part) for part in parts] == [5, 5]
        assert len(set(parts[0] + parts[1])) == 10
        left_out |= everything - set(parts[0] + parts[1])
    assert len(left_out) > 2


@pytest.mark.parametrize("persistent", [False, True])
def test_an_epoch_is_followed_by_the_next_also_in_workers(corpus, persistent):
    loader = DataLoader(dataset(corpus), batch_size=None, num_workers=2, persistent_workers=persistent)
    plain = DataLoader(dataset(corpus), batch_size=None)
    epochs = [keys(loader) for _ in range(3)]
    assert [sorted(e) for e in epochs] == [sorted(epochs[0])] * 3
    assert epochs[0] != epochs[1] != epochs[2]
    assert [sorted(keys(plain)) for _ in range(3)] == [sorted(e) for e in epochs]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_plain_loader_goes_on_after_a_number_of_batches(corpus, workers):
    def loader(data) -> DataLoader:
        return DataLoader(data, batch_size=None, num_workers=workers)

    whole = loader(dataset(corpus, batch_size=2))
    first, second = keys(whole), keys(whole)
    data = dataset(corpus, batch_size=2)
    data.load_state_dict(data.state_after(3))
    resumed = loader(data)
    assert keys(resumed) == first[6:]
    assert keys(resumed) == second
    other = dataset(corpus, batch_size=3, rank=1, world=2)
    other.load_state_dict(data.state_after(3))  # six samples: one step of two ranks of three
    with pytest.raises(UserError, match="6 samples, which 2 ranks x batches of 2 do not divide"):
        dataset(corpus, batch_size=2, rank=0, world=2).load_state_dict(data.state_after(3))


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("after", [0, 1, 2, 3, 5])
def test_a_stateful_loader_goes_on_in_the_middle(corpus, workers, after):
    stateful = pytest.importorskip("torchdata.stateful_dataloader")

    def loader() -> object:
        return stateful.StatefulDataLoader(dataset(corpus, batch_size=2), batch_size=None, num_workers=workers)

    one = loader()
    epoch = iter(one)
    read = [next(epoch)["key"] for _ in range(after)]
    state = one.state_dict()
    rest = [batch["key"] for batch in epoch]
    assert len(read + rest) == 5
    other = loader()
    other.load_state_dict(state)
    assert [batch["key"] for batch in other] == rest
    assert keys(other) == keys(one)
    at_the_end = loader()
    at_the_end.load_state_dict(other.state_dict())
    assert keys(at_the_end) == keys(other)


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="POSIX signals")
def test_workers_ignore_a_stop(corpus):
    loader = DataLoader(dataset(corpus), batch_size=None, num_workers=1, prefetch_factor=1)
    epoch = iter(loader)
    count = 1 + (next(epoch) is None)
    [worker] = epoch._workers
    for name in ("SIGTERM", "SIGUSR1", "SIGINT"):
        os.kill(worker.pid, getattr(signal, name))
        time.sleep(0.05)
    assert count + sum(1 for _ in epoch) == TOTAL


def test_mistakes_are_named(corpus):
    with pytest.raises(UserError, match="render is 'online'"):
        CorpusDataset(str(corpus), render="online")
    with pytest.raises(UserError, match="11 samples are fewer than 1 ranks x batches of 12; lower batch_size"):
        len(CorpusDataset(str(corpus), batch_size=12))
    with pytest.raises(UserError, match="no state of a corpus read with seed 1"):
        CorpusDataset(str(corpus), seed=1).load_state_dict(dataset(corpus).state_after(2))
