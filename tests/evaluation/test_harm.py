"""Harm rates and the way to the oracle mean what they say."""

from __future__ import annotations

import numpy as np
import pytest

from stylefx.evaluation.harm import harm_in_db, harm_in_share, nothing_to_do, way_gone, wilson

GROUPS = [f"g{i % 12}" for i in range(48)]


def test_harm_counts_what_grew_by_more_than_the_tolerance():
    before = np.full(48, 2.0)
    assert harm_in_db(before, before + 0.24, GROUPS).mean == 0
    after = before + np.where(np.arange(48) < 12, 0.26, -1.0)
    assert harm_in_db(before, after, GROUPS).mean == pytest.approx(0.25)
    assert harm_in_share(before, before * 1.019, GROUPS).mean == 0
    assert harm_in_share(before, before * 1.021, GROUPS).mean == 1


def test_a_failed_item_is_counted_as_failed_and_not_as_harmless():
    found = harm_in_db([1.0, 1.0, 1.0], [np.nan, 2.0, 0.5], ["a", "b", "c"])
    assert (found.mean, found.count, found.failures) == (0.5, 2, 1)


def test_a_rate_of_zero_still_has_an_interval():
    found = harm_in_db(np.full(48, 2.0), np.full(48, 1.0), GROUPS)
    assert found.mean == found.low == 0
    assert found.high == pytest.approx(0.0741, abs=1e-3)  # Wilson: 1.96^2 / (48 + 1.96^2)


def test_wilson_agrees_with_scipy():
    from scipy.stats import binomtest

    for hits, count in ((0, 10), (3, 10), (17, 40), (40, 40)):
        expected = binomtest(hits, count).proportion_ci(method="wilson")
        assert wilson(hits / count, count) == pytest.approx((expected.low, expected.high), abs=1e-6)


def test_nothing_to_do_needs_both_distances_to_be_small():
    mr_stft = [0.0, 1.0, 1.0, 0.019, 1.9]
    assert nothing_to_do(mr_stft).tolist() == [True, False, False, False, False]
    assert nothing_to_do([0.0, 0.001, 1.0], [0.1, 0.3, 0.1]).tolist() == [True, False, False]


def test_the_way_is_nought_at_the_input_one_at_the_oracle_and_negative_beyond():
    before, oracle = np.array([2.0, 4.0]), np.array([1.0, 1.0])
    assert way_gone(before, before, oracle, ["a", "b"]).mean == 0
    assert way_gone(before, oracle, oracle, ["a", "b"]).mean == 1
    assert way_gone(before, before + 1, oracle, ["a", "b"]).mean == pytest.approx(-0.5)
