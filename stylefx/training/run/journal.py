"""What a run writes down: metrics.jsonl (every step), what backends are sent, and the pace of the steps.

A resumed run drops what the killed one wrote beyond the checkpoint, so that the journal reads as one undisturbed run.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from stylefx.files.atomic import write_whole
from stylefx.files.sentences import explained
from stylefx.training.run.backends import Guarded

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
    """Only the first rank writes. A disk that takes no more lines gets them with a later one; ``say`` is told once.

    ``pending``: the validation of ``start_step`` is made again, so what the journal has of it is dropped.
    """

    def __init__(
        self,
        run: Path,
        start_step: int,
        say: Callable[[str], None],
        backends: Sequence[Guarded] = (),
        pending: bool = False,
    ):
        rows = [row for row in read_metrics(run) if row["step"] <= start_step]
        if pending:
            rows = [row for row in rows if row["kind"] != "validation" or row["step"] != start_step]
        write_whole(run / METRICS_FILE, "".join(json.dumps(row) + "\n" for row in rows).encode())
        self._path, self._say, self._unwritten, self._refused = run / METRICS_FILE, say, b"", False
        self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND)
        self.backends = list(backends)

    def write(self, kind: str, step: int, values: dict[str, float]) -> None:
        """One line; ``kind`` is train or validation."""
        self._unwritten += (json.dumps({"kind": kind, "step": step, **values}) + "\n").encode()
        try:
            self._flush()
        except OSError as error:
            if not self._refused:
                self._say(f"{self._path} takes no more lines ({error.strerror or error}); they are kept and written when it does")
            self._refused = True

    def _flush(self) -> None:
        while self._unwritten:
            self._unwritten = self._unwritten[os.write(self._file, self._unwritten) :]
        self._refused = False

    def scalars(self, kind: str, step: int, values: dict[str, float]) -> None:
        for backend in self.backends:
            backend.scalars(kind, step, values)

    def show(self, call: Callable[[Any], None]) -> None:
        """Hand TensorBoard's writer, where there is one, to who shows more than scalars."""
        for backend in self.backends:
            backend.show(call)

    def close(self) -> None:
        """IncompleteError where lines could not be written until the end."""
        try:
            with explained(str(self._path.parent), self._path.name):
                self._flush()
        finally:
            os.close(self._file)
            for backend in self.backends:
                backend.close()


class Throughput:
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


def report_text(values: dict[str, float]) -> str:
    """What is said of a step."""
    return (
        f"loss {values['loss']:.4f}  mr_stft {values['mr_stft']:.4f}  {values['examples_per_s']:.1f} examples/s  "
        f"data wait {100 * values['data_wait']:.1f} %"
    )
