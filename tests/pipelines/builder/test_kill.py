"""Builds that were killed with SIGKILL and resumed are byte-identical to undisturbed ones."""

from __future__ import annotations

import random

import pytest

from benchmarks.kill_rounds import Rounds


@pytest.mark.parametrize("executor", ["inline", pytest.param("ray", marks=pytest.mark.xdist_group("ray"))])
def test_killed_and_resumed_builds_are_byte_identical(executor, tmp_path):
    """The driver, a worker, and everything at once are killed at random moments; `python -m benchmarks.kill_rounds` does 50."""
    rounds = Rounds(tmp_path, executor, speakers=4, seconds=12.0)
    rng = random.Random()
    log = [rounds.play(victim, rng) for victim in ("driver", "worker", "everything")]
    rounds.finish()
    assert rounds.finished >= 1, log
