"""Ctrl-C once, or SIGTERM: finish the shards in flight. Ctrl-C twice: stop now. Either way nothing is lost."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from stylefx.errors import Interrupted

_RESUME = "stopped; run the same command again to resume"


class Stopper:
    """Context manager around a build. ``asked`` tells whether to start nothing new."""

    def __init__(self, say: Callable[[str], None]):
        self._say = say
        self._number: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Stopper:
        self.install()
        return self

    def install(self) -> None:
        """Set the handlers (again); signals reach the main thread only, elsewhere there is nothing to set."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number in (signal.SIGINT, signal.SIGTERM):
            previous = signal.signal(number, self._on_signal)
            self._before.setdefault(number, previous)

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._number is not None and number == signal.SIGINT:
            raise Interrupted(_RESUME, number)
        if self._number is None:
            self._number = number
            self._say("stopping: the shards in flight are finished first; press Ctrl-C again to stop now")

    @property
    def asked(self) -> bool:
        return self._number is not None

    def check(self) -> None:
        """Interrupted if a signal came."""
        if self._number is not None:
            raise Interrupted(_RESUME, self._number)
