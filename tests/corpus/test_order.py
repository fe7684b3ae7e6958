"""The order is a pure function: everything once per epoch, the same for any ranks, weights kept exactly."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from stylefx.corpus.order import CorpusOrder, Mixture, micro_batch, permutation, quotas
from stylefx.errors import UserError

SIZES = [5, 3, 8, 1, 4, 7, 2]


@pytest.mark.parametrize("window", [1, 2, 3, 100])
def test_every_epoch_visits_every_sample_once_and_in_another_order(window):
    order = CorpusOrder(SIZES, seed=3, window=window)
    everything = {(s, r) for s, n in enumerate(SIZES) for r in range(n)}
    epochs = [[order.locate(e * order.total + p) for p in range(order.total)] for e in range(3)]
    for number, epoch in enumerate(epochs):
        assert {(s, r) for _, s, r in epoch} == everything
        assert {e for e, _, _ in epoch} == {number}
    assert [x[1:] for x in epochs[0]] != [x[1:] for x in epochs[1]]


def test_a_window_touches_no_more_shards_than_it_may():
    order = CorpusOrder([10] * 30, seed=1, window=4)
    for start in range(0, 280, 40):
        assert len({order.locate(p)[1] for p in range(start, start + 40)}) == 4


def test_any_position_can_be_asked_first():
    straight = CorpusOrder(SIZES, seed=9, window=2)
    want = [straight.locate(p) for p in range(95)]
    jumps = CorpusOrder(SIZES, seed=9, window=2)
    for p in np.random.default_rng(0).permutation(95):
        assert jumps.locate(int(p)) == want[p]


def test_the_seed_changes_the_order_and_shuffling_is_unbiased():
    a, b = (CorpusOrder([100], seed=s, window=1) for s in (1, 2))
    assert [a.locate(p) for p in range(100)] != [b.locate(p) for p in range(100)]
    first = np.array([permutation(10, 0, "test", str(i))[0] for i in range(2000)])
    counts = np.bincount(first, minlength=10)
    assert ((counts - 200) ** 2 / 200).sum() < 27.9  # chi-squared, 9 degrees, p = 0.001


def test_the_first_orders_are_what_they_always_were():
    """Worked by hand from blake2b and Philox: a resumed run meets the order it left."""
    import hashlib

    def key(*parts):
        h = hashlib.blake2b(digest_size=16)
        for part in parts:
            data = str(part).encode()
            h.update(len(data).to_bytes(8, "little") + data)
        return np.frombuffer(h.digest(), "<u8")

    words = np.random.Philox(key=key(7, "order/shards", "0"), counter=0).random_raw(4)
    assert CorpusOrder([1, 1, 1, 1], seed=7, window=1).window_shards(0, 0)[0] == int(np.argmin(words))


@pytest.mark.parametrize(("world", "accumulation", "micro"), itertools.chain(
    itertools.product([1, 2, 4], [1], [4, 2]), [(1, 4, 2), (2, 2, 2), (1, 2, 4)]))  # fmt: skip
def test_ranks_share_the_positions_of_a_step_without_gap_or_overlap(world, accumulation, micro):
    for step in range(3):
        seen = []
        for part in range(accumulation):
            for rank in range(world):
                positions = micro_batch(step, part, rank, world, micro, accumulation)
                assert all(p // micro % world == rank for p in positions)
                seen += positions
        size = world * micro * accumulation
        assert seen == list(range(step * size, (step + 1) * size))


def test_the_concatenated_order_is_the_same_for_any_ranks_and_survives_a_change_of_ranks():
    order = CorpusOrder(SIZES, seed=5, window=3)

    def steps(world, first, last):
        micro = 8 // world
        for step in range(first, last):
            for rank in range(world):
                yield from (order.locate(p) for p in micro_batch(step, 0, rank, world, micro, 1))

    whole = list(steps(1, 0, 9))
    for a, b, c in itertools.permutations([1, 2, 4]):
        assert list(steps(a, 0, 3)) + list(steps(b, 3, 4)) + list(steps(c, 4, 9)) == whole


def test_a_mixture_keeps_its_weights_in_every_block_and_each_corpus_its_own_order():
    orders = [CorpusOrder([30, 20], seed=1, window=1), CorpusOrder([7], seed=1, window=1), CorpusOrder([200], seed=1, window=1)]
    mix = Mixture(orders, [2, 1, 1], seed=1, block=16)
    places = [mix.locate(p) for p in range(160)]
    for block in range(10):
        assert np.bincount([p.corpus for p in places[block * 16 : block * 16 + 16]]).tolist() == [8, 4, 4]
    for number, order in enumerate(orders):
        own = [(p.epoch, p.shard, p.row) for p in places if p.corpus == number]
        assert own == [order.locate(i) for i in range(len(own))]
    assert [p.corpus for p in places[:16]] != [p.corpus for p in places[16:32]]


@pytest.mark.parametrize(("weights", "want"), [([1], [16]), ([1, 1], [8, 8]), ([1e-6, 1], [1, 15]), ([3, 3, 1], [7, 7, 2])])
def test_quotas_fill_the_block_and_starve_nobody(weights, want):
    assert quotas(weights, 16).tolist() == want


@pytest.mark.parametrize("weights", [[1, 0], [1, -2], [float("nan"), 1]])
def test_weights_that_are_not_positive_are_refused(weights):
    with pytest.raises(UserError, match="positive"):
        quotas(weights)
