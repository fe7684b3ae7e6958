"""Progress of long work: a rich bar on a terminal, a line now and then otherwise. Everything goes to stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

QUIET_SECONDS = 30.0


@contextmanager
def step_progress(title: str, total: int) -> Iterator[Callable[..., None]]:
    """Yield ``report(done, **values)``; the values (numbers) are shown beside the bar."""
    if sys.stderr.isatty():
        yield from _bar(title, total)
    else:
        yield from _lines(title, total)


def _text(values: dict[str, float]) -> str:
    return "  ".join(f"{k.replace('_', ' ')} {v:.4g}" for k, v in values.items())


def _bar(title: str, total: int) -> Iterator[Callable[..., None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, TextColumn("{task.fields[values]}"), console=Console(stderr=True)) as progress:
        task = progress.add_task(title, total=total, values="")
        yield lambda done, **values: progress.update(task, completed=done, values=_text(values))


def _lines(title: str, total: int) -> Iterator[Callable[..., None]]:
    started = last = time.monotonic()

    def report(done: int, **values: float) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < QUIET_SECONDS and done < total:
            return
        last = now
        left = (now - started) / max(done, 1) * (total - done)
        sys.stderr.write(f"{title}: {done}/{total}  {_text(values)}  {now - started:.0f} s, about {left:.0f} s left\n")
        sys.stderr.flush()

    yield report
