"""Servers that are away are waited for, with growing pauses and an end; refusals are not."""

from __future__ import annotations

import pytest

from stylefx.errors import IncompleteError, UserError
from stylefx.files import patience
from stylefx.files.patience import Again, Patience, repeat, with_patience


@pytest.fixture
def clock(monkeypatch):
    """Time that passes only in pauses; holds the pauses."""
    pauses = []
    monkeypatch.setattr(patience.ending, "wait", pauses.append)  # answers None: nothing ends
    monkeypatch.setattr(patience.time, "monotonic", lambda: sum(pauses))
    return pauses


def failing(*errors):
    """A call that raises these one after another and then answers."""
    left = iter(errors)

    def call() -> str:
        error = next(left, None)
        if error is not None:
            raise error
        return "answer"

    return call


def test_a_server_that_comes_back_gives_its_answer(clock):
    errors = [ConnectionError("reset"), TimeoutError(), OSError(5, "i/o"), RuntimeError("HTTP 503 SlowDown")]
    assert with_patience("s3://b", "give a", failing(*errors)) == "answer"
    assert clock == [0.2, 0.4, 0.8, 1.6]


def test_a_server_that_stays_away_is_given_up_after_two_minutes_in_one_sentence(clock):
    def away() -> None:
        raise ConnectionError("reset, token=abc")

    with pytest.raises(
        IncompleteError, match=r"s3://b failed to give a \(ConnectionError: reset, token=\*\*\*\); when it"
    ) as caught:
        with_patience("s3://b", "give a", away)
    assert caught.value.__cause__ is None
    assert 120 < sum(clock) <= 126
    assert max(clock) == 5.0


@pytest.mark.parametrize(
    ("error", "raised", "message"),
    [
        (FileNotFoundError("a"), FileNotFoundError, "a"),
        (UserError("ours"), UserError, "ours"),
        (PermissionError("403"), IncompleteError, "refused to give a: 403; check the credentials"),
        (RuntimeError("HTTP 400"), IncompleteError, "when it answers again"),
    ],
)
def test_what_waiting_cannot_mend_is_not_waited_for(clock, error, raised, message):
    with pytest.raises(raised, match=message):
        with_patience("s3://b", "give a", failing(error))
    assert clock == []


def test_attempts_that_bring_something_do_not_count_and_a_wish_of_the_server_is_kept(clock):
    wishes = [Again(), Again(progressed=True), Again(wait_s=7.0), Again(wait_s=1e6)]
    answer = repeat(failing(*[ValueError()] * 4), Patience(attempts=4, longest_pause_s=20.0), lambda error: wishes[len(clock)])
    assert answer == "answer"
    assert clock == [1.0, 1.0, 7.0, 20.0]
    with pytest.raises(ValueError, match="third"):
        repeat(failing(*map(ValueError, ("1", "2", "third"))), Patience(attempts=3), lambda error: Again())
