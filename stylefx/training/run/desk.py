"""What the first rank alone has: where a run is written down, and where it speaks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from stylefx.files.atomic import write_whole
from stylefx.files.sentences import explained
from stylefx.progress import Progress, duration
from stylefx.training.config import TrainingConfig
from stylefx.training.run.backends import open_backends
from stylefx.training.run.journal import Journal, Throughput, report_text

CONFIG_FILE = "config.yaml"


@dataclass
class Desk:
    """``steps`` of the run, of which every ``every_steps``-th is said."""

    journal: Journal
    progress: Progress
    steps: int
    every_steps: int

    def report(self, done: int, values: dict[str, Any], meter: Throughput) -> None:
        """Write a step down; say it where it is due."""
        self.journal.write("train", done, values)
        progress = self.progress
        progress.update("training", done, self.steps)
        if done % self.every_steps == 0 or done == self.steps:
            values = values | meter.report()
            self.journal.scalars("train", done, values)
            text, left = report_text(values), duration(progress.left_s("training", done, self.steps))
            progress.update("training", done, self.steps, text)
            progress.line(f"step {done}/{self.steps}  {text}  {left} left", now=True)

    def close(self) -> None:
        self.progress.close()
        self.journal.close()


def open_desk(config: TrainingConfig, run: Path, start_step: int, echo: Callable[[str], None], pending: bool) -> Desk:
    """Make the run's folder, write its configuration there and open what reports go to; ``pending``: the validation of the
    first step is still to come."""
    with explained(str(run), CONFIG_FILE):
        run.mkdir(parents=True, exist_ok=True)
        resolved = config.model_dump(mode="json")
        write_whole(run / CONFIG_FILE, yaml.safe_dump(resolved, sort_keys=False).encode())
        backends = open_backends(config.logging.backends, run, start_step, resolved, echo)
        journal = Journal(run, start_step, echo, backends, pending=pending)
    desk = Desk(journal, Progress(echo=echo), config.steps, config.logging.every_steps)
    desk.progress.update("training", start_step, config.steps)
    return desk
