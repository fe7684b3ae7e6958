"""Progress of long work: rich bars on a terminal, a line now and then otherwise; on stderr unless told otherwise."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

LINE_EVERY_S = 30.0
_quiet = False


def be_quiet(quiet: bool) -> None:
    """Whether whatever is made from now on shows nothing."""
    global _quiet
    _quiet = quiet


def duration(seconds: float) -> str:
    """90 s, 3 min, 2 h 5 min."""
    seconds = round(seconds)
    if seconds < 120:
        return f"{seconds} s"
    if seconds < 7200:
        return f"{seconds // 60} min"
    return f"{seconds // 3600} h {seconds % 3600 // 60} min"


class Progress:
    """Bars by name where ``stream`` is a terminal, else lines, one every ``every_s`` seconds. Call as often as you like.

    bars: True or False to choose; echo: takes the lines in place of ``stream``; in_bytes: bars count bytes.
    """

    def __init__(
        self,
        stream: TextIO | None = None,
        bars: bool | None = None,
        echo: Callable[[str], None] | None = None,
        every_s: float = LINE_EVERY_S,
        in_bytes: bool = False,
    ):
        if _quiet:
            bars, echo = False, lambda text: None
        self._stream, self._echo, self._every_s, self._in_bytes = stream or sys.stderr, echo, every_s, in_bytes
        self._with_bars = self._stream.isatty() and os.environ.get("TERM") != "dumb" if bars is None else bars
        self._bars: Any = None
        self._tasks: dict[str, Any] = {}
        self._began: dict[str, tuple[float, float]] = {}  # when, and how much was done already
        self._last_s = time.monotonic()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def update(self, name: str, done: float, total: float | None = None, text: str | None = None) -> None:
        """How far the work of this name is; ``text`` stands beside its bar. Draws bars only; see ``line``."""
        self._began.setdefault(name, (time.monotonic(), done))
        if not self._with_bars:
            return
        if self._bars is None:
            self._bars = _rich_bars(self._stream, self._in_bytes)
            self._bars.start()
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(name, total=total, completed=done, text=text or "")
        changed = {} if text is None else {"text": text}
        self._bars.update(self._tasks[name], completed=done, total=total, **changed)

    def left_s(self, name: str, done: float, total: float) -> float:
        """How long the rest takes at the pace since the first ``update`` of this name."""
        since, first = self._began.get(name, (time.monotonic(), done))
        return (time.monotonic() - since) / max(done - first, 1) * (total - done)

    def line(self, text: str | Callable[[], str], now: bool = False) -> None:
        """Where there are no bars: one line, when the last was long enough ago or it has to be ``now``."""
        if self._with_bars or not (now or time.monotonic() - self._last_s >= self._every_s):
            return
        self._last_s = time.monotonic()
        self._write(text if isinstance(text, str) else text())

    def counter(self, name: str, total: int | None = None) -> Callable[[int], None]:
        """``update`` and ``line`` for work that only says how many it has done."""

        def count(done: int) -> None:
            self.update(name, done, total)
            self.line(lambda: f"{name}: {done:,}" + (f" of {total:,}" if total else ""))

        return count

    def say(self, text: str) -> None:
        """One line that stays, above the bars."""
        if self._bars is not None:
            self._bars.console.print(text, markup=False, highlight=False)
        else:
            self._write(text)

    def finish(self, name: str, text: str) -> None:
        """One line that stays in place of the bar of this name."""
        self.say(text)
        if name in self._tasks:
            self._bars.remove_task(self._tasks.pop(name))
        self._began.pop(name, None)

    def close(self) -> None:
        """Leave the bars as they are; what is said from now on are lines."""
        if self._bars is not None:
            self._bars.stop()
        self._bars, self._with_bars, self._tasks = None, False, {}

    def _write(self, text: str) -> None:
        if self._echo is not None:
            self._echo(text)
            return
        self._stream.write(text + "\n")
        self._stream.flush()


def _rich_bars(stream: TextIO, in_bytes: bool) -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    count = DownloadColumn() if in_bytes else MofNCompleteColumn()
    columns = (TextColumn("{task.description}"), BarColumn(), count, TextColumn("{task.fields[text]}"), TimeRemainingColumn())
    return Bars(*columns, console=Console(file=stream))


@contextmanager
def step_progress(title: str, total: int) -> Iterator[Callable[..., None]]:
    """Yield ``report(done, **values)``; the values (numbers) are shown beside the bar."""
    with Progress() as progress:
        progress.update(title, 0, total)

        def report(done: int, **values: float) -> None:
            text = "  ".join(f"{k.replace('_', ' ')} {v:.4g}" for k, v in values.items())
            progress.update(title, done, total, text)
            left = progress.left_s(title, done, total)
            progress.line(lambda: f"{title}: {done}/{total}  {text}  about {duration(left)} left", now=done >= total)

        yield report
