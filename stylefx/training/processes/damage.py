"""Damaged samples that one rank passed over, told to all: the limit is one for the whole run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch.distributed as dist

from stylefx.corpus.tolerance import Tolerance
from stylefx.errors import DamageError
from stylefx.training.processes.distributed import Rank


def learn_of_damage(tolerance: Tolerance, news: dict[str, str], place: Rank, say: Callable[[str], None]) -> None:
    """Every rank learns what any of them passed over, and the first says it; DamageError on all of them where it is too much."""
    if place.world > 1:
        everyone: list[Any] = [None] * place.world
        dist.all_gather_object(everyone, news)
        news = {name: reason for part in everyone for name, reason in part.items()}
    if place.is_first:
        for name, reason in sorted(news.items()):
            say(f"passed over {name}: {reason}")
    try:
        tolerance.learn(news)
    except DamageError as error:
        error.said_by_another = not place.is_first
        raise
    if place.is_first:
        say(f"{len(tolerance.names)} damaged samples so far, of {tolerance.total}")
