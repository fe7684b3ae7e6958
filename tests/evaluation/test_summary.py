"""Means leave failures out and count them; intervals are keyed, cover the truth, and respect groups."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats

from stylefx.evaluation.summary import summarise, summarise_ratio


def test_failures_are_counted_and_not_averaged_in():
    result = summarise([1.0, math.nan, 3.0, math.inf])
    assert (result.mean, result.count, result.failures) == (2.0, 2, 2)
    assert result.median == 2.0
    assert result.text().endswith("(2 failed)")


def test_nothing_but_failures_has_no_mean_and_plain_json():
    result = summarise([math.nan, math.nan])
    assert math.isnan(result.mean)
    assert result.to_dict()["mean"] is None
    assert result.text() == "- (2 failed)"


def test_interval_is_close_to_students_and_the_same_every_time():
    values = np.random.default_rng(0).normal(5.0, 2.0, 400)
    result = summarise(values)
    low, high = scipy.stats.t.interval(0.95, 399, values.mean(), scipy.stats.sem(values))
    assert result.low == pytest.approx(low, abs=0.05)
    assert result.high == pytest.approx(high, abs=0.05)
    assert summarise(values) == result
    assert summarise(values, seed=1) != result


def test_intervals_cover_the_truth_about_19_times_in_20():
    rng = np.random.default_rng(1)
    hits = sum(r.low <= 1.0 <= r.high for r in (summarise(rng.exponential(1.0, 80)) for _ in range(200)))
    assert 0.89 <= hits / 200 <= 0.98


def test_items_of_a_group_are_resampled_together():
    rng = np.random.default_rng(2)
    level = rng.normal(0, 1, 20)
    values, groups = np.repeat(level, 30), np.repeat([f"g{i}" for i in range(20)], 30)
    together, alone = summarise(values, groups), summarise(values)
    assert together.resampled == "groups"
    assert alone.resampled == "items"
    expected = 2 * 1.96 * level.std() / np.sqrt(20)
    assert together.high - together.low == pytest.approx(expected, rel=0.15)
    assert alone.high - alone.low < expected / 3
    assert summarise(values[:60], groups[:60]).resampled == "items"  # two groups say nothing about their spread


def test_a_ratio_is_that_of_the_means():
    result = summarise_ratio([1.0, 1.0, math.nan], [1.0, 3.0, 100.0])
    assert result.mean == 0.5
    assert result.failures == 1
    assert summarise_ratio([2.0, 6.0], [4.0, 12.0]).low == 0.5


@pytest.mark.parametrize(
    ("values", "text"),
    [([0.4123] * 3, "0.412 [0.412, 0.412]"), ([687.4] * 3, "687 [687, 687]"), ([0.9999, 1.0003], "1.00 [1.00, 1.00]")],
)
def test_numbers_are_printed_with_three_digits(values, text):
    assert summarise(values).text() == text
