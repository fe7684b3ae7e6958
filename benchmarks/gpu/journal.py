"""What the sections find, written after each of them, so that a run that is cut loses nothing: JSON, Markdown and a log."""

from __future__ import annotations

import json
import os
import platform
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

Row = dict[str, Any]


def versions(device: torch.device) -> Row:
    """Machine, device and versions."""
    row: Row = {"device": platform.processor() or platform.machine(), "torch": torch.__version__, "numpy": np.__version__}
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    row |= {"python": platform.python_version(), "system": platform.platform(), "cpus": cpus}
    if device.type == "cuda":
        found = torch.cuda.get_device_properties(device)
        row |= {"device": found.name, "memory_gib": round(found.total_memory / 2**30, 1), "cuda": torch.version.cuda}
        row |= {"capability": f"{found.major}.{found.minor}", "multiprocessors": found.multi_processor_count}
        row |= {"cudnn": torch.backends.cudnn.version(), "tf32_convolutions": torch.backends.cudnn.allow_tf32}
        row |= {"tf32_products": torch.backends.cuda.matmul.allow_tf32}
    try:
        import triton

        row["triton"] = triton.__version__
    except ImportError:
        row["triton"] = None
    return row


class Journal:
    """Rows per section; ``left()`` is what remains of the budget in seconds."""

    def __init__(self, out: Path, about: Row, budget: float, continued: bool = False):
        out.mkdir(parents=True, exist_ok=True)
        self.out, self.about, self.budget, self.started = out, about, budget, time.perf_counter()
        self.tables: dict[str, list[Row]] = {}
        self.notes: dict[str, str] = {}
        if continued and (out / "gpu.json").exists():
            before = json.loads((out / "gpu.json").read_text())
            self.tables, self.notes = before["tables"], before["notes"]
        self._log = (out / "gpu.log").open("a" if continued else "w", buffering=1)
        self.say(", ".join(f"{k} {v}" for k, v in about.items()))

    def elapsed(self) -> float:
        return time.perf_counter() - self.started

    def left(self) -> float:
        return self.budget - self.elapsed()

    def say(self, text: str) -> None:
        line = f"[{self.elapsed():6.1f} s] {text}"
        print(line, flush=True)
        self._log.write(line + "\n")

    def log(self, text: str) -> None:
        """Into the log alone."""
        self._log.write(text.rstrip() + "\n")

    def add(self, table: str, row: Row) -> None:
        self.tables.setdefault(table, []).append(row)
        self.say(f"{table}: " + ", ".join(f"{k} {shown(v)}" for k, v in row.items()))

    def failed(self, where: str, error: BaseException) -> str:
        """Write down an error with its traceback; one line of it."""
        text = (str(error).strip().splitlines() or [""])[0]
        brief = f"{type(error).__name__}: {text}"[:300]
        self.say(f"FAILED {where}: {brief}")
        self.log("".join(traceback.format_exception(error)))
        self.notes[where] = brief
        return brief

    def section(self, name: str, least_s: float, run: Callable[[Journal], None]) -> None:
        """Run it if ``least_s`` are left; whatever happens in it, the next one can go on."""
        if self.left() < least_s:
            self.notes[name] = f"left out: {self.left():.0f} s of the budget were left, it needs about {least_s:.0f}"
            self.say(f"{name}: {self.notes[name]}")
        else:
            self.say(f"-- {name}")
            began = time.perf_counter()
            try:
                run(self)
            except Exception as error:  # the next section must run
                self.failed(name, error)
            self.say(f"-- {name}: {time.perf_counter() - began:.1f} s")
        self.write()

    def write(self) -> None:
        document = {"about": self.about, "elapsed_s": round(self.elapsed(), 1), "tables": self.tables, "notes": self.notes}
        (self.out / "gpu.json").write_text(json.dumps(document, indent=1, default=str) + "\n")
        (self.out / "gpu.md").write_text(self.markdown())

    def markdown(self) -> str:
        parts = [", ".join(f"{k} {v}" for k, v in self.about.items())]
        for title, rows in self.tables.items():
            names = list(dict.fromkeys(name for row in rows for name in row))
            lines = [f"## {title}", "", "| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
            lines += ["| " + " | ".join(shown(row.get(name, "")) for name in names) + " |" for row in rows]
            parts.append("\n".join(lines))
        if self.notes:
            parts.append("## Left out or failed\n\n" + "\n".join(f"* {k}: {v}" for k, v in self.notes.items()))
        return "\n\n".join(parts) + "\n"


def shown(value: Any) -> str:
    if not isinstance(value, float):
        return str(value)
    if value and not 1e-3 <= abs(value) < 1e5:
        return f"{value:.1e}"
    return f"{value:.4g}" if abs(value) < 1000 else f"{value:.0f}"
