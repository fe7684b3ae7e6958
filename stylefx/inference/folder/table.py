"""One row per recording of a folder, as CSV and as a page."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from stylefx.files.atomic import check_free, publish_text
from stylefx.files.html import render_html

_TEMPLATE = Path(__file__).parent / "table.html"
_OURS = b'<meta name="generator" content="stylefx transfer">'
NAMES = ("transfer.csv", "transfer.html")


@dataclass(frozen=True)
class FolderRow:
    """What became of one file; empty where it does not apply. Distances are those of ``stylefx.inference.distances``."""

    file: str
    status: str  # done, kept (from an earlier run), failed, left out
    output: str = ""
    loudness_before_lufs: float | None = None
    loudness_after_lufs: float | None = None
    loudness_missed_lu: float | None = None
    agreement: str = ""
    balance_before_db: float | None = None
    balance_after_db: float | None = None
    style_before_db: float | None = None
    style_after_db: float | None = None
    note: str = ""


def row_of(file: str, output: str, status: str, about: dict[str, Any]) -> FolderRow:
    """The row of a recording from what its settings say of it."""
    loudness, far = about.get("loudness", {}), about.get("distances", {})
    ends = {f"{kind}_{side}_db": far.get(kind, {}).get(side) for kind in ("balance", "style") for side in ("before", "after")}
    notes = [*about.get("warnings", ()), loudness.get("why", "")]
    return FolderRow(
        file,
        status,
        output,
        loudness_before_lufs=about.get("input_lufs"),
        loudness_after_lufs=loudness.get("reached_lufs"),
        loudness_missed_lu=loudness.get("missed_lu"),
        agreement=about.get("confidence", {}).get("agreement", ""),
        note="; ".join(filter(None, notes)),
        **ends,
    )


def check_tables(folder: Path, overwrite: bool) -> None:
    """Tables may replace tables, not what is called alike."""
    for name, mark in zip(NAMES, (to_csv([]).encode(), _OURS), strict=True):
        path = folder / name
        if path.exists() and mark not in path.read_bytes():
            check_free(path, overwrite)


def write_tables(folder: Path, rows: Sequence[FolderRow], title: str) -> tuple[Path, Path]:
    """``transfer.csv`` and ``transfer.html`` in the folder."""
    paths = (folder / NAMES[0], folder / NAMES[1])
    publish_text(paths[0], to_csv(rows))
    publish_text(paths[1], to_html(rows, title))
    return paths


def to_csv(rows: Sequence[FolderRow]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([field.name for field in fields(FolderRow)])
    writer.writerows([_text(getattr(row, field.name), 3) for field in fields(FolderRow)] for row in rows)
    return text.getvalue()


def to_html(rows: Sequence[FolderRow], title: str) -> str:
    """A page that stands alone; everything in it is escaped."""
    names = [field.name for field in fields(FolderRow)]
    cells = [(row.status.split()[0], [_text(getattr(row, name), 1) for name in names]) for row in rows]
    return render_html(_TEMPLATE, title=title, names=[_heading(name) for name in names], rows=cells)


def _heading(name: str) -> str:
    stem, _, unit = name.rpartition("_")
    units = {"lufs": "LUFS", "lu": "LU", "db": "dB"}
    return f"{stem.replace('_', ' ')} ({units[unit]})" if unit in units else name


def _text(value: object, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}" if isinstance(value, float) else str(value)
