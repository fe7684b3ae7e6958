"""Batches come in their order whether or not the next one is read while the present one is used."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from stylefx.corpus.batch import Batch
from stylefx.training.loop.feed import interruptible, placeholder
from stylefx.training.processes.interrupt import StopRequest


class Source:
    """Batches 0, 1, 2, ...; ``reached`` is set when so many were asked for, ``closed`` at the end."""

    def __init__(self, count: int, fails_at: int | None = None):
        self.reached = [threading.Event() for _ in range(count + 1)]
        self.closed, self.count, self.fails_at = False, count, fails_at

    def batches(self):
        try:
            for i in range(self.count):
                self.reached[i].set()
                if i == self.fails_at:
                    raise OSError("damaged")
                yield Batch([str(i)], [0], np.ones(1, np.float32))
            self.reached[self.count].set()
        finally:
            self.closed = True


def fed(source: Source, early=None):
    return interruptible(source.batches(), StopRequest(), lambda: placeholder(1, 1, 8), early)


def test_from_the_third_on_the_next_batch_is_read_while_the_present_one_is_used():
    source, given = Source(6), []
    batches = fed(source, lambda batch: given.append(batch.keys[0]))
    assert [next(batches).keys[0], source.reached[1].is_set()] == ["0", False]
    for i in range(1, 6):
        assert next(batches).keys == [str(i)]
        assert source.reached[i + 1].wait(10)  # without being asked for
    assert next(batches, None) is None
    assert given == ["2", "3", "4", "5"]
    assert source.closed


def test_without_it_nothing_is_read_that_was_not_asked_for():
    source = Source(6)
    batches = fed(source)
    for i in range(3):
        assert next(batches).keys == [str(i)]
    assert not source.reached[3].is_set()
    batches.close()
    assert source.closed


def test_leaving_in_the_middle_closes_the_source_and_an_error_comes_when_its_batch_is_due():
    source = Source(6)
    batches = fed(source, lambda batch: None)
    assert [next(batches).keys[0] for _ in range(3)] == ["0", "1", "2"]
    batches.close()
    assert source.closed
    batches = fed(Source(6, fails_at=3), lambda batch: None)
    assert [next(batches).keys[0] for _ in range(3)] == ["0", "1", "2"]
    with pytest.raises(OSError, match="damaged"):
        next(batches)
