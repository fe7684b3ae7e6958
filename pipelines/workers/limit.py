"""A wall-time limit for one sample that also holds inside compiled code.

faulthandler's timer runs in a C thread and needs no interpreter lock: when a decoder hangs, the worker ends itself,
and the driver finds in the journal which sample it was.
"""

from __future__ import annotations

import faulthandler
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import BinaryIO


@cache
def _nowhere() -> BinaryIO:
    return open(os.devnull, "wb")  # kept open for the life of the process


@contextmanager
def sample_limit(limit_s: float) -> Iterator[None]:
    """End this process if the body takes longer; 0 sets no limit."""
    if limit_s <= 0:
        yield
        return
    faulthandler.dump_traceback_later(limit_s, exit=True, file=_nowhere())
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
