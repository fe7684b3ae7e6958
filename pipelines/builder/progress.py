"""How a build is going: what is counted, and the lines or JSON lines that say it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TextIO

from pipelines.corpus.sidecar import Committed
from stylefx.logs import logger
from stylefx.progress import Progress, duration


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


def scan_lines(progress: Progress) -> Callable[[int, float], None]:
    """A ``progress`` for ``scan``: recordings and hours so far."""

    def report(count: int, hours: float) -> None:
        progress.update("recordings", count, text=f"{hours:,.2f} h")
        progress.line(lambda: f"scanned {count:,} recordings, {hours:,.2f} h")

    return report


class BuildProgress:
    """Shows a tally. ``mode`` is "auto" (bars on a terminal, else lines), "lines", "json" or "quiet"."""

    def __init__(self, mode: str = "auto", stream: TextIO | None = None):
        self._as_json = mode == "json"
        quiet = (lambda text: None) if mode == "quiet" else None
        self._shown = Progress(stream, None if mode == "auto" else False, quiet)

    def start(self, tally: Tally) -> None:
        self.update(tally, force=True)

    def update(self, tally: Tally, force: bool = False) -> None:
        """Call as often as you like; prints when it is time."""
        rejects = ", ".join(f"{n} {s}" for s, n in tally.counts.items() if n and s != "ok")
        more = f"{tally.rate:.1f}/s, {tally.rate * tally.sample_hours:.4f} audio h/s" if tally.rendered else ""
        self._shown.update("shards", tally.shards_done, tally.shards, rejects)
        self._shown.update("samples", tally.samples_done, tally.samples, more)
        self._shown.line(lambda: self._line(tally), force)

    def _line(self, tally: Tally) -> str:
        logger.info("%s", tally.line())
        return json.dumps({"event": "progress", **tally.to_dict()}) if self._as_json else tally.line()

    def say(self, text: str) -> None:
        """One line that stays, and that is logged."""
        logger.info("%s", text)
        self._shown.say(json.dumps({"event": "message", "text": text}) if self._as_json else text)

    def stop(self) -> None:
        self._shown.close()
