"""What a run writes down: metrics.jsonl (every step), TensorBoard, and progress for the person who waits.

A resumed run drops what the killed one wrote beyond the checkpoint, so that the journal reads as one undisturbed run.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stylefx.models.checkpoint import write_atomic

METRICS_FILE = "metrics.jsonl"


def read_metrics(run: Path) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl; a last line that a killed run left unfinished is dropped."""
    file, rows = run / METRICS_FILE, []
    for line in file.read_text().splitlines() if file.is_file() else []:
        try:
            rows.append(json.loads(line))
        except ValueError:
            break
    return rows


class Journal:
    """Only the first rank writes. ``say`` prints one line."""

    def __init__(self, run: Path, start_step: int, tensorboard: bool):
        kept = [row for row in read_metrics(run) if row["step"] <= start_step]
        write_atomic(run / METRICS_FILE, "".join(json.dumps(row) + "\n" for row in kept).encode())
        self._file = open(run / METRICS_FILE, "a")  # noqa: SIM115 (closed in close)
        self.writer = None
        if tensorboard:
            from torch.utils.tensorboard import SummaryWriter

            self.writer = SummaryWriter(str(run / "tensorboard"), purge_step=start_step + 1)

    def write(self, kind: str, step: int, values: dict[str, float]) -> None:
        """One line; ``kind`` is train or validation."""
        self._file.write(json.dumps({"kind": kind, "step": step, **values}) + "\n")
        self._file.flush()

    def scalars(self, kind: str, step: int, values: dict[str, float]) -> None:
        if self.writer is not None:
            for name, value in values.items():
                self.writer.add_scalar(f"{kind}/{name}", value, step)

    def close(self) -> None:
        self._file.close()
        if self.writer is not None:
            self.writer.close()


class Meter:
    """Examples per second and the share of time that waited for data, since the last report and over all."""

    def __init__(self) -> None:
        self.wait_s = self.total_wait_s = 0.0
        self.examples = 0
        self.started = self.since = time.perf_counter()
        self.paused_s = self.interval_paused_s = 0.0

    def waited(self, seconds: float) -> None:
        self.wait_s += seconds
        self.total_wait_s += seconds

    def paused(self, seconds: float) -> None:
        """Time that belongs to no step: validation and checkpoints."""
        self.paused_s += seconds
        self.interval_paused_s += seconds

    def report(self) -> dict[str, float]:
        """Rates since the last report; starts a new interval."""
        now = time.perf_counter()
        busy = max(now - self.since - self.interval_paused_s, 1e-9)
        out = {"examples_per_s": self.examples / busy, "data_wait": self.wait_s / busy}
        self.since, self.examples, self.wait_s, self.interval_paused_s = now, 0, 0.0, 0.0
        return out

    @property
    def data_wait(self) -> float:
        """Share of all step time that waited for data."""
        return self.total_wait_s / max(time.perf_counter() - self.started - self.paused_s, 1e-9)


def clock(seconds: float) -> str:
    """3725 -> 1:02:05"""
    minutes, s = divmod(int(seconds), 60)
    hours, m = divmod(minutes, 60)
    return f"{hours}:{m:02d}:{s:02d}" if hours else f"{m}:{s:02d}"


class Progress:
    """A rich bar on a terminal; elsewhere one line per report, through ``echo``."""

    def __init__(self, steps: int, start: int, echo: Callable[[str], None]):
        self.steps, self.echo, self.bar = steps, echo, None
        self._first, self._began = start, time.perf_counter()
        if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[text]}"), TimeRemainingColumn())
            self.bar = Bar(TextColumn("training"), *columns, console=Console(stderr=True))
            self.task = self.bar.add_task("training", total=steps, completed=start, text="")
            self.bar.start()

    def step(self, done: int) -> None:
        if self.bar is not None:
            self.bar.update(self.task, completed=done)

    def report(self, done: int, values: dict[str, float]) -> None:
        text = (
            f"loss {values['loss']:.4f}  mr_stft {values['mr_stft']:.4f}  {values['examples_per_s']:.1f} examples/s  "
            f"data wait {100 * values['data_wait']:.1f} %"
        )
        if self.bar is not None:
            self.bar.update(self.task, completed=done, text=text)
            return
        left = (time.perf_counter() - self._began) / max(done - self._first, 1) * (self.steps - done)
        self.echo(f"step {done}/{self.steps}  {text}  {clock(left)} left")

    def say(self, text: str) -> None:
        if self.bar is not None:
            self.bar.console.print(text, highlight=False)
        else:
            self.echo(text)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.stop()
