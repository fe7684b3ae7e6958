"""A folder of recordings on the command line: what is done, what is left out, and the table of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from pathlib import Path

import click

from stylefx.command_line import say, show_json
from stylefx.errors import IncompleteError
from stylefx.inference.folder.album import run_album
from stylefx.inference.folder.plan import plan_folder
from stylefx.inference.folder.run import FolderWork, number_of_processes, run_folder
from stylefx.inference.folder.table import FolderRow, check_tables, write_tables
from stylefx.inference.transfer import StyleTransfer
from stylefx.progress import step_progress


def do_folder(
    tool: StyleTransfer,
    source: Path,
    out: Path,
    form: str,
    work: FolderWork,
    jobs: int | None,
    album: bool,
    as_json: bool = False,
) -> None:
    """Every recording of ``source`` below ``out``; IncompleteError where some could not be done."""
    work.options.check()
    plan = plan_folder(source, out, form)
    check_tables(out, work.overwrite)
    for path, why in plan.left_out:
        say(f"left out: {path}: {why}", err=True)
    with step_progress("transfer", len(plan.jobs)) as report:
        run = run_album if album else run_folder
        rows = run(tool, plan.jobs, work, number_of_processes(jobs, len(plan.jobs)), report)
    out.mkdir(parents=True, exist_ok=True)
    left = [FolderRow(str(path), "left out", note=why) for path, why in plan.left_out]
    tables = write_tables(out, [*rows, *left], f"{source} in the style of {', '.join(Path(r).name for r in work.references)}")
    if as_json:
        show_json([asdict(row) for row in [*rows, *left]])
    _say(rows, out, tables, as_json)


def _say(rows: list[FolderRow], out: Path, tables: tuple[Path, Path], as_json: bool) -> None:
    count = Counter(row.status for row in rows)
    for row in rows:
        if row.status == "failed":
            click.echo(f"failed: {row.file}: {row.note}", err=True)
        elif row.note:
            say(f"note: {row.file}: {row.note}", err=True)
    done = count["done"] + count["kept"]
    kept = f" ({count['kept']} from an earlier run)" if count["kept"] else ""
    say(f"{out}: {done} of {len(rows)} recordings{kept}", err=as_json)
    say(f"{tables[0]} and {tables[1]}: loudness, agreement and distances of each", err=as_json)
    if count["failed"]:
        raise IncompleteError(f"{count['failed']} of {len(rows)} recordings could not be done; they are named above")
