"""Ctrl-C and SIGTERM as a request to stop after the step, a second one as a demand."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType

from stylefx.errors import StylefxError


class Interrupted(StylefxError):
    """The run was asked to stop and has saved its state."""

    def __init__(self, text: str, number: int):
        super().__init__(text)
        self.exit_status = 128 + number


class StopRequest:
    """Context in which the first SIGINT or SIGTERM sets ``signal_number``; the second one acts as usual."""

    def __init__(self) -> None:
        self.signal_number: int | None = None
        self._previous: dict[int, object] = {}

    def __bool__(self) -> bool:
        return self.signal_number is not None

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.signal_number = number
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, kind: type | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._restore()
