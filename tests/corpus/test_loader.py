"""The loader: same batches for any workers, ranks and restarts; the paper's exchange of halves; exact evaluation."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from stylefx.corpus.batch import Marks
from stylefx.corpus.dataset import EvaluationSet, TrainingSet, choose_half
from stylefx.corpus.loader import EvaluationLoader, TrainingLoader
from stylefx.corpus.pairs import DryPairs
from stylefx.corpus.reader import open_corpus
from stylefx.errors import UserError
from stylefx.recipes.references import ReferenceRule
from tests.support.stored_corpus import make_corpus


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return make_corpus(tmp_path_factory.mktemp("c") / "c", {"train": [5, 3, 4, 6], "val": [4, 3]}, dry=True)


def batches(path, *, first=0, last=6, world=1, workers=0, crop=1500, **kwargs):
    """Steps of 8 items: per step the ranks' batches one after another."""
    loaders = [
        iter(TrainingLoader(TrainingSet([open_corpus(path)], seed=4, window=2, crop=crop, **kwargs), micro=8 // world,
                            rank=r, world=world, workers=workers, start_step=first, stop_step=last))
        for r in range(world)
    ]  # fmt: skip
    return [[next(loader) for loader in loaders] for _ in range(first, last)]


def content(steps):
    """(keys, audio) of every item in order."""
    return [
        (key, batch.epochs[i], batch.input[i].tobytes(), batch.target[i].tobytes(), batch.reference[i].tobytes())
        for step in steps for batch in step for i, key in enumerate(batch.keys)
    ]  # fmt: skip


def test_world_sizes_and_workers_read_the_same_sequence(path):
    want = content(batches(path))
    for world, workers in itertools.product([1, 2, 4], [0, 2, 4]):
        assert content(batches(path, world=world, workers=workers)) == want


@pytest.mark.parametrize(("before", "after"), [((1, 0), (4, 2)), ((2, 4), (1, 2)), ((4, 2), (2, 0))])
@pytest.mark.parametrize("stop", [1, 3, 5])
def test_stopping_and_going_on_elsewhere_loses_nothing(path, before, after, stop):
    head = content(batches(path, last=stop, world=before[0], workers=before[1]))
    tail = content(batches(path, first=stop, world=after[0], workers=after[1]))
    assert head + tail == content(batches(path))


def test_one_half_is_processed_and_the_other_is_the_reference(path):
    corpus = open_corpus(path)
    refs = {r.key: r for r in corpus.samples("train")}
    halves = set()
    for [batch] in batches(path, crop=None, last=9):
        for i, key in enumerate(batch.keys):
            half, other = choose_half(4, batch.epochs[i], key)
            audio = corpus.read(refs[key], [f"{half}.input", f"{half}.target", f"{other}.target"])
            for got, want in zip((batch.input, batch.target, batch.reference), audio.values(), strict=True):
                assert np.array_equal(got[i], want)
            halves.add((key, half))
    assert len(halves) > 1.3 * len(refs)  # over four epochs both halves of most samples were processed


def test_stretches_start_anywhere_and_anew_in_every_epoch(path):
    def starts_of(world):
        every = [b for step in batches(path, crop=1000, last=20, world=world) for b in step]
        return [(k, e, int(s)) for b in every for k, e, s in zip(b.keys, b.epochs, b.starts, strict=True)]

    starts = starts_of(1)
    assert all(0 <= s <= 4096 - 1000 for _, _, s in starts)
    assert len({s for _, _, s in starts}) > 120
    assert np.std([s for _, _, s in starts]) == pytest.approx(3096 / np.sqrt(12), rel=0.15)
    assert starts_of(2) == starts


def dry(path, **kwargs):
    """Batches whose pairs are drawn while reading: the input is the dry half, the target twice as loud."""
    corpus = open_corpus(path)

    def double(key, epoch, dry, dry_reference, other, label=""):
        return {"input": dry, "target": 2 * dry, "reference": 2 * dry_reference}, Marks(label, other)

    data = TrainingSet([corpus], seed=4, window=2, pairs=DryPairs({corpus: double}), **kwargs)
    return data, corpus


def test_dry_halves_are_rendered_as_they_are_read(path):
    data, corpus = dry(path)
    refs = {r.key: r for r in corpus.samples("train")}
    batch = next(iter(TrainingLoader(data, micro=8, workers=2, stop_step=1)))
    for i, key in enumerate(batch.keys):
        half, other = choose_half(4, batch.epochs[i], key)
        audio = corpus.read(refs[key], [f"{half}.dry", f"{other}.dry"])
        assert np.array_equal(batch.target[i], 2 * audio[f"{half}.dry"])
        assert np.array_equal(batch.reference[i], 2 * audio[f"{other}.dry"])
        assert np.array_equal(batch.dry_reference[i], audio[f"{other}.dry"])
    assert not batch.reference_other.any()
    assert batch.groups == [refs[key].group for key in batch.keys]


def test_references_of_other_content_are_of_another_group_and_the_same_for_any_ranks(path):
    def partners(world, workers):
        found = []
        for step in range(5):
            for rank in range(world):
                data, corpus = dry(path, reference=ReferenceRule(content="both", share=0.75))
                start = {"start_step": step, "stop_step": step + 1, "rank": rank, "world": world, "workers": workers}
                batch = next(iter(TrainingLoader(data, micro=8 // world, **start)))
                items = [data.item(p) for p in range(step * 8 + rank * 8 // world, step * 8 + (rank + 1) * 8 // world)]
                for i, item in enumerate(items):
                    lent = corpus.read(item.lender, [f"{item.member}.dry"])[f"{item.member}.dry"]
                    assert np.array_equal(batch.dry_reference[i], lent)
                    assert batch.reference_other[i] == item.other == (item.lender.group != item.ref.group)
                found += [(i.ref.key, i.epoch, i.lender.key, i.member) for i in items]
        return found

    want = partners(1, 0)
    assert partners(2, 2) == partners(4, 1) == want
    assert 20 < sum(key != lender for key, _, lender, _ in want) < 38
    assert len({lender for _, _, lender, _ in want}) > 10


def test_a_reference_of_other_content_lies_in_the_same_window_of_shards(path):
    data, _ = dry(path, reference=ReferenceRule(content="other"))
    for position in range(18):
        item = data.item(position)
        window = data.order.orders[0].window_of(position)
        shards = {data.shards[0][i].name for i in data.order.orders[0].window_shards(*window)}
        assert item.lender.shard in shards


def test_a_single_group_cannot_lend_a_reference_and_the_cure_is_named(tmp_path):
    path = make_corpus(tmp_path / "one", {"train": [1]}, dry=True)
    data, _ = dry(path, reference=ReferenceRule(content="other"))
    with pytest.raises(UserError, match=r"enlarge data\.window_shards"):
        data.item(0)


def test_corpora_are_mixed_by_weight(path, tmp_path):
    other = make_corpus(tmp_path / "o", {"train": [4]}, source="other", seed=1, half_frames=3000)
    data = TrainingSet([open_corpus(path), open_corpus(other)], [3, 1], seed=0)
    assert data.frames == data.half_frames == 3000
    loader = TrainingLoader(data, micro=32, workers=2, stop_step=32)
    keys = [k for b in loader for k in b.keys]
    assert sum(k.startswith("other") for k in keys) == len(keys) // 4 == 256


def test_corpora_of_unlike_rates_are_refused(path, tmp_path):
    other = make_corpus(tmp_path / "o", {"train": [1]}, sample_rate=44100)
    with pytest.raises(UserError, match=r"44100 Hz.*24000 Hz"):
        TrainingSet([open_corpus(path), open_corpus(other)])


def test_an_error_in_a_worker_reaches_the_caller(tmp_path):
    path = make_corpus(tmp_path / "c", {"train": [4]})
    (path / "train/train-000000.tar").write_bytes(b"\0" * 100)
    loader = TrainingLoader(TrainingSet([open_corpus(path)]), micro=4, workers=2, stop_step=1)
    with pytest.raises(Exception, match="train-000000"):
        next(iter(loader))


@pytest.mark.parametrize("world", [1, 2, 3])
@pytest.mark.parametrize("limit", [None, 5])
def test_evaluation_sees_every_item_once_whatever_the_ranks(path, world, limit):
    data = EvaluationSet([open_corpus(path)], limit=limit)
    seen, lengths = [], set()
    for rank in range(world):
        loader = list(EvaluationLoader(data, batch=2, rank=rank, world=world))
        lengths.add(len(loader))
        assert all(len(b.keys) == 2 for b in loader)
        seen += [k for b in loader for k, valid in zip(b.keys, b.valid, strict=True) if valid]
    assert sorted(seen) == sorted(ref.key for _, ref in data.refs)
    assert len(seen) == (limit or 7)
    assert len(lengths) == 1
