"""How many examples a fuzz test draws: a keyed few in the suite, many where STYLEFX_PROOF asks for proof."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings


def fuzz(examples: int) -> settings:
    """``examples`` in the suite, drawn from the test's name and the same in every run; STYLEFX_PROOF times as many, at random."""
    times = int(os.environ.get("STYLEFX_PROOF", "0"))
    return settings(
        max_examples=examples * max(times, 1),
        derandomize=not times,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
