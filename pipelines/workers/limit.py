"""A wall-time limit for one sample that also holds inside compiled code, where no line of Python would run in time.

When a decoder hangs, the worker ends, and the driver finds in the journal which sample it was. The system's alarm does that at
the price of a system call; where it is another's, or there is none, faulthandler's thread does, which costs a wait for it.
"""

from __future__ import annotations

import faulthandler
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import BinaryIO


@cache
def _nowhere() -> BinaryIO:
    return open(os.devnull, "wb")  # kept open for the life of the process


def _alarm_is_free() -> bool:
    """Whether the system's alarm would end this process: nobody set it, handles it, ignores it or holds it back."""
    return (
        hasattr(signal, "setitimer")
        and signal.getsignal(signal.SIGALRM) == signal.SIG_DFL
        and signal.SIGALRM not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
        and signal.getitimer(signal.ITIMER_REAL)[0] == 0.0
    )


@contextmanager
def sample_limit(limit_s: float) -> Iterator[None]:
    """End this process if the body takes longer; 0 sets no limit."""
    if limit_s <= 0:
        yield
    elif _alarm_is_free():
        signal.setitimer(signal.ITIMER_REAL, limit_s)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0.0)
    else:
        faulthandler.dump_traceback_later(limit_s, exit=True, file=_nowhere())
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()
