"""What deaths, errors and failed samples mean for a build, decided without a process, a file or a clock."""

from __future__ import annotations

import pytest

from pipelines.builder.verdict import (
    ANONYMOUS_DEATHS,
    DEATHS_IN_A_ROW,
    Judge,
    how_it_died,
    shard_limit_s,
    too_many_failed,
    too_many_filtered,
)
from pipelines.manifest.model import Limits
from pipelines.workers.executor import NODE_DIED, stop_error
from stylefx.errors import DamageError, IncompleteError, StylefxError, UserError


def test_the_second_death_on_a_sample_quarantines_it_and_the_shard_goes_on():
    judge = Judge()
    first, second = judge.death("s", "key-1", "SIGSEGV"), judge.death("s", "key-1", "SIGKILL")
    assert (first.quarantine, first.give_up, first.error) == (None, False, None)
    assert "strike 1" in first.said
    assert second.quarantine == "ended its worker 2 times (SIGKILL)"
    assert not second.give_up


def test_two_samples_of_a_shard_get_a_strike_each():
    judge = Judge()
    assert judge.death("s", "a", "SIGSEGV").quarantine is None
    assert judge.death("s", "b", "SIGSEGV").quarantine is None


def test_a_machine_that_goes_away_blames_no_sample_and_not_the_installation():
    judge = Judge()
    verdicts = [judge.death(f"s{i}", "key", NODE_DIED) for i in range(2 * DEATHS_IN_A_ROW)]
    assert all(v.quarantine is None and v.error is None and not v.give_up for v in verdicts)


def test_a_shard_whose_workers_die_outside_any_sample_is_given_up():
    judge = Judge()
    given_up = [judge.death("s", None, "exit status 1").give_up for _ in range(ANONYMOUS_DEATHS)]
    assert given_up == [False] * (ANONYMOUS_DEATHS - 1) + [True]
    with pytest.raises(IncompleteError, match=r"1 shards were given up, the first is s.*memory of the nodes"):
        judge.check_given_up()


def test_many_deaths_in_a_row_stop_the_build_and_a_success_starts_the_count_anew():
    judge = Judge()
    for i in range(DEATHS_IN_A_ROW - 1):
        assert judge.death(f"s{i}", None, "SIGKILL").error is None
    judge.success()
    errors = [judge.death(f"t{i}", None, "SIGKILL").error for i in range(DEATHS_IN_A_ROW)]
    assert errors[:-1] == [None] * (DEATHS_IN_A_ROW - 1)
    assert isinstance(errors[-1], IncompleteError)
    assert "8 workers in a row died outside any sample (SIGKILL)" in str(errors[-1])


@pytest.mark.parametrize(
    ("sample", "since_s", "limit_s", "expected"),
    [
        ("key", 90, 10.0, "took longer than 10 s"),
        ("key", 95, 10.0, "exit status 1"),
        ("key", 90, 0.0, "exit status 1"),  # no limit
        ("key", None, 10.0, "exit status 1"),
        (None, 90, 10.0, "exit status 1"),
    ],
)
def test_a_sample_that_ran_to_its_limit_was_too_slow(sample, since_s, limit_s, expected):
    assert how_it_died("exit status 1", sample, since_s, limit_s, now_s=100.0) == expected


@pytest.mark.parametrize(("status", "kind"), [(2, UserError), (3, IncompleteError), (4, DamageError), (9, StylefxError)])
def test_a_workers_error_keeps_its_class_and_words(status, kind):
    error = stop_error({"kind": "stop", "message": "the disk is full", "exit_status": status}, "train/train-000001")
    assert type(error) is kind
    assert str(error) == "the disk is full"


def test_an_unexpected_error_names_the_shard_and_is_internal():
    error = stop_error({"kind": "internal", "message": "KeyError: 'x'"}, "train/train-000001")
    assert error.exit_status == 1
    assert "train/train-000001" in str(error)


def test_the_shards_limit_is_the_manifests_or_grows_with_its_samples():
    assert shard_limit_s(Limits(shard_seconds=7.0), 1000) == 7.0
    assert shard_limit_s(Limits(), 10) == 420.0


def test_failures_count_over_all_planned_samples_and_name_the_commonest_reason():
    limits, counts = Limits(max_failed_share=0.02), {"ok": 90, "failed": 1, "quarantined": 1, "filtered": 8}
    assert too_many_failed(counts, 100, limits) is None
    error = too_many_failed({**counts, "failed": 2}, 100, limits, ["torn", "torn", "silent"])
    assert "3 of 100 samples failed, more than limits.max_failed_share = 0.02" in str(error)
    assert "such as: torn" in str(error)


def test_filtered_samples_have_a_limit_of_their_own():
    counts = {"ok": 5, "failed": 0, "quarantined": 0, "filtered": 5}
    assert too_many_filtered(counts, 10, Limits(max_filtered_share=0.5)) is None
    assert "5 of 10 samples were filtered" in str(too_many_filtered(counts, 10, Limits(max_filtered_share=0.4)))
