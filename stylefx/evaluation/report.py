"""What a protocol found: plain data for JSON, tables for the terminal and Markdown, a picture."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stylefx.files.atomic import publish_text

REPORT_FORMAT = "stylefx-evaluation"
REPORT_VERSION = 1


@dataclass(frozen=True)
class Table:
    """Rows of text under columns; the first column is left-aligned, the others right.

    ``brief`` are shorter rows for a terminal, where the full ones are too wide for it.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""
    brief: Sequence[Sequence[str]] | None = None

    def markdown(self) -> str:
        lines = [f"### {self.title}", "", "| " + " | ".join(self.columns) + " |"]
        lines.append("|" + "|".join(["---"] + ["---:"] * (len(self.columns) - 1)) + "|")
        lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in self.rows]
        return "\n".join([*lines, *(["", self.note] if self.note else []), ""])


@dataclass(frozen=True)
class Report:
    """The outcome of one protocol. ``setup`` says on what, ``results`` hold every number, ``draw`` writes a PNG."""

    protocol: str
    title: str
    question: str
    setup: dict[str, Any]
    results: dict[str, Any]
    tables: Sequence[Table]
    draw: Callable[[Path], Any] | None = None
    notes: Sequence[str] = field(default_factory=tuple)

    def to_dict(self) -> dict[str, Any]:
        return {
            "format": REPORT_FORMAT, "version": REPORT_VERSION, "protocol": self.protocol, "title": self.title,
            "question": self.question, "setup": self.setup, "notes": list(self.notes), "results": plain(self.results),
        }  # fmt: skip

    def markdown(self) -> str:
        setup = "; ".join(f"{name.replace('_', ' ')}: {value}" for name, value in self.setup.items() if value is not None)
        parts = [f"## {self.protocol.upper()}. {self.title}", "", self.question, "", setup, ""]
        parts += [t.markdown() for t in self.tables]
        if self.draw:
            parts += [f"![{self.title}]({self.protocol}.png)", ""]
        return "\n".join([*parts, *(f"* {note}" for note in self.notes), ""])


def plain(data: Any) -> Any:
    """Numbers, text, lists and dicts only; NaN and infinities become null, which JSON can hold."""
    if hasattr(data, "to_dict"):
        return plain(data.to_dict())
    if isinstance(data, dict):
        return {str(k): plain(v) for k, v in data.items()}
    if isinstance(data, (list, tuple)):
        return [plain(v) for v in data]
    if hasattr(data, "tolist"):
        return plain(data.tolist())
    return None if isinstance(data, float) and not math.isfinite(data) else data


def write_json(path: Path, reports: Sequence[Report]) -> None:
    """One report as itself, several as a list; whole or not at all."""
    publish_text(path, json.dumps(plain_reports(reports), indent=1, allow_nan=False) + "\n")


def plain_reports(reports: Sequence[Report]) -> Any:
    """One report as itself, several as a list."""
    data = [r.to_dict() for r in reports]
    return data[0] if len(data) == 1 else data


def write_folder(folder: Path, report: Report) -> list[Path]:
    """``<protocol>.json``, ``.md`` and, where there is a picture, ``.png``; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = folder / report.protocol
    paths = [stem.with_suffix(".json"), stem.with_suffix(".md")]
    write_json(paths[0], [report])
    publish_text(paths[1], report.markdown())
    if report.draw:
        paths.append(stem.with_suffix(".png"))
        report.draw(paths[2])
    return paths
