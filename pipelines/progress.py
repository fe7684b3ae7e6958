"""How a build is going: rich bars on a terminal, one line every 30 s elsewhere, JSON lines on demand."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TextIO

from pipelines.shard_sidecar import Committed

LINE_EVERY_S = 30.0


@dataclass
class Tally:
    """Counts of a build; ``rendered`` ones are this run's, for rates."""

    shards: int
    samples: int
    sample_hours: float
    shards_done: int = 0
    counts: dict[str, int] = field(default_factory=lambda: {"ok": 0, "filtered": 0, "failed": 0, "quarantined": 0})
    rendered: int = 0
    rendered_ok: int = 0
    started_s: float = field(default_factory=time.monotonic)
    first_s: float | None = None
    seconds: dict[str, float] = field(default_factory=dict)

    def add(self, shard: Committed, rendered: bool) -> None:
        self.shards_done += 1
        for status, n in shard.counts.items():
            self.counts[status] += n
        if rendered:
            self.rendered += shard.planned
            self.rendered_ok += shard.counts["ok"]
            for stage, s in shard.seconds.items():
                self.seconds[stage] = self.seconds.get(stage, 0.0) + s

    @property
    def samples_done(self) -> int:
        return sum(self.counts.values())

    @property
    def rate(self) -> float:
        """Samples a second of this run, start-up included."""
        return self.rendered / max(time.monotonic() - self.started_s, 1e-9)

    @property
    def eta_s(self) -> float | None:
        return (self.samples - self.samples_done) / self.rate if self.rendered else None

    def to_dict(self) -> dict[str, Any]:
        return {
            "shards": self.shards,
            "shards_done": self.shards_done,
            "samples": self.samples,
            "samples_done": self.samples_done,
            **self.counts,
            "samples_per_s": round(self.rate, 2),
            "audio_hours": round(self.samples_done * self.sample_hours, 3),
            "eta_s": None if self.eta_s is None else round(self.eta_s),
        }

    def line(self) -> str:
        parts = [f"{self.shards_done}/{self.shards} shards", f"{self.samples_done}/{self.samples} samples"]
        parts += [f"{n} {status}" for status, n in self.counts.items() if n and status != "ok"]
        if self.rendered:
            hours = 3600 * self.rate * self.sample_hours
            parts += [f"{self.rate:.1f} samples/s", f"{hours:.1f} audio hours per hour", f"{duration(self.eta_s or 0)} to go"]
        return ", ".join(parts)


def scan_lines(say: Callable[[str], None], every_s: float = LINE_EVERY_S) -> Callable[[int, float], None]:
    """A ``progress`` for ``scan``: a line now and then."""
    last_s = time.monotonic()

    def report(count: int, hours: float) -> None:
        nonlocal last_s
        if time.monotonic() - last_s >= every_s:
            last_s = time.monotonic()
            say(f"scanned {count:,} recordings, {hours:,.2f} h")

    return report


def duration(seconds: float) -> str:
    seconds = round(seconds)
    if seconds < 120:
        return f"{seconds} s"
    if seconds < 7200:
        return f"{seconds // 60} min"
    return f"{seconds // 3600} h {seconds % 3600 // 60} min"


class Progress:
    """Shows a tally. ``mode`` is "auto" (bars on a terminal, else lines), "lines", "json" or "quiet"."""

    def __init__(self, mode: str = "auto", stream: TextIO | None = None):
        self._stream = stream or sys.stderr
        self._mode = ("bars" if self._stream.isatty() else "lines") if mode == "auto" else mode
        self._last_s = time.monotonic()
        self._bars: Any = None
        self._tasks: dict[str, Any] = {}

    def start(self, tally: Tally) -> None:
        if self._mode == "bars":
            self._start_bars(tally)
        self.update(tally, force=True)

    def _start_bars(self, tally: Tally) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[more]}"))
        self._bars = Bars(*columns, TimeRemainingColumn(), console=Console(file=self._stream))
        self._tasks = {
            "shards": self._bars.add_task("shards", total=tally.shards, more=""),
            "samples": self._bars.add_task("samples", total=tally.samples, more=""),
        }
        self._bars.start()

    def update(self, tally: Tally, force: bool = False) -> None:
        """Call as often as you like; prints when it is time."""
        if self._mode == "bars":
            rejects = ", ".join(f"{n} {s}" for s, n in tally.counts.items() if n and s != "ok")
            hours_per_s = tally.rate * tally.sample_hours
            self._bars.update(self._tasks["shards"], completed=tally.shards_done, total=tally.shards, more=rejects)
            more = f"{tally.rate:.1f}/s, {hours_per_s:.4f} audio h/s" if tally.rendered else ""
            self._bars.update(self._tasks["samples"], completed=tally.samples_done, more=more)
            return
        now = time.monotonic()
        if self._mode in ("lines", "json") and (force or now - self._last_s >= LINE_EVERY_S):
            self._last_s = now
            text = json.dumps({"event": "progress", **tally.to_dict()}) if self._mode == "json" else tally.line()
            self._write(text)

    def say(self, text: str) -> None:
        """One line that stays."""
        if self._mode == "bars" and self._bars is not None:
            self._bars.console.print(text, markup=False, highlight=False)
        elif self._mode == "json":
            self._write(json.dumps({"event": "message", "text": text}))
        elif self._mode != "quiet":
            self._write(text)

    def _write(self, text: str) -> None:
        self._stream.write(text + "\n")
        self._stream.flush()

    def stop(self) -> None:
        if self._bars is not None:
            self._bars.stop()
            self._bars = None
            self._mode = "lines"
