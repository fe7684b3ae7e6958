"""Ctrl-C, SIGTERM and SIGUSR1 as a request to stop: while nothing can be saved yet at once, later at the next boundary.

Schedulers send SIGUSR1 some time before a job's end, and SIGTERM twice (to the job and through its launcher): both mean the
same, however often they come. A second Ctrl-C, a second or more after the first, is a demand and acts as usual.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

from stylefx.errors import Interrupted, StylefxError
from stylefx.files import patience

_ONE_PRESS_S = 1.0  # launchers hand Ctrl-C on to processes that the terminal told already
_NAMES = ("SIGINT", "SIGTERM", "SIGUSR1")

_LAST_WAIT_S = 1.0

OUR_THREADS = "stylefx-"  # how the names of our threads begin


class StopRequest:
    """Context in which the first of the signals sets ``signal_number`` (15 for all but Ctrl-C)."""

    def __init__(self) -> None:
        self.signal_number: int | None = None
        self.since_s = 0.0
        self._previous: dict[int, Any] = {}
        self._at_once: str | None = None

    def __bool__(self) -> bool:
        return self.signal_number is not None

    @property
    def waited_s(self) -> float:
        """How long the request is there; 0 without one."""
        return time.monotonic() - self.since_s if self else 0.0

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self and number == signal.SIGINT and self.waited_s > _ONE_PRESS_S:
            self._restore()
            raise KeyboardInterrupt
        if not self:
            self.since_s = time.monotonic()
            self.signal_number = signal.SIGINT if number == signal.SIGINT else signal.SIGTERM
            self._leave_where_nothing_is_lost()

    def _leave_where_nothing_is_lost(self) -> None:
        if self and self._at_once is not None:
            raise Interrupted(self._at_once, self.signal_number or signal.SIGTERM)

    @contextmanager
    def at_once(self, text: str) -> Iterator[None]:
        """Inside, a request raises Interrupted where it finds the program: nothing there is worth waiting for."""
        self._at_once = text
        try:
            self._leave_where_nothing_is_lost()
            yield
        finally:
            self._at_once = None

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            for number in (getattr(signal, name) for name in _NAMES if hasattr(signal, name)):
                self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, kind: type | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._restore()
        patience.ending.clear()


def end_now_where_threads_hang(error: StylefxError) -> None:
    """Say the error and end the process where threads still hang in a foreign client: a normal exit would wait for its
    time-outs, longer than a launcher waits before it kills."""
    until = time.monotonic() + _LAST_WAIT_S
    while any(thread.name.startswith(OUR_THREADS) for thread in threading.enumerate()):
        if time.monotonic() > until:
            if not error.said_by_another:
                sys.stderr.write(f"error: {error}\n")
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(error.exit_status)
        time.sleep(0.05)
