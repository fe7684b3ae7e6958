"""The recordings of a folder, one after another or in several processes; what cannot be done is named and the rest goes on.

An output of an earlier run is kept where its settings carry the digest of the same input, references, model and wishes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from stylefx.errors import UserError
from stylefx.files.processes.cores import cores
from stylefx.files.processes.pool import Report, in_processes
from stylefx.inference.folder.plan import FileJob, kept_bits
from stylefx.inference.folder.table import FolderRow, row_of
from stylefx.inference.hearing.remembered import content_digest
from stylefx.inference.options import TransferOptions
from stylefx.inference.settings_file import load_settings
from stylefx.inference.transfer import StyleTransfer

_FILES_PER_PROCESS = 4  # fewer are not worth the seconds that a process takes to load the model
_MOST_PROCESSES = 8


@dataclass(frozen=True)
class FolderWork:
    """All that a process needs to know."""

    checkpoint: str
    references: tuple[str, ...]
    options: TransferOptions
    overwrite: bool = False
    keep_tags: bool = True


def number_of_processes(asked: int | None, files: int) -> int:
    """As many as asked, else one per four files and core, eight at most."""
    if asked is not None:
        return max(1, min(asked, files))
    return max(1, min(cores(), files // _FILES_PER_PROCESS, _MOST_PROCESSES))


def run_folder(tool: StyleTransfer, jobs: Sequence[FileJob], work: FolderWork, processes: int, report: Report) -> list[FolderRow]:
    """A row per job, in their order. The references are heard first: a bad one ends the work before it began."""
    for reference in work.references:
        tool.reference(reference, work.options.windows)
    if processes == 1:
        return in_processes(do_one, [(tool, job, work) for job in jobs], 1, report)
    return in_processes(_do, [(job, work) for job in jobs], processes, report, _start, (work.checkpoint,))


def do_one(tool: StyleTransfer, job: FileJob, work: FolderWork) -> FolderRow:
    """One recording; what is wrong with it becomes its row."""
    source, output = str(job.source), str(job.output)
    try:
        key = job_key(tool, [job.source], job, work)
        if is_done(job, key):
            return row_of(source, output, "kept", load_settings(job.output.with_suffix(".json")).about)
        job.output.parent.mkdir(parents=True, exist_ok=True)
        options = replace(work.options, bits=work.options.bits or kept_bits(job.source, job.output))
        done = tool.transfer(
            job.source, work.references, job.output, options, overwrite=work.overwrite, keep_tags=work.keep_tags, job=key
        )
    except UserError as error:
        return FolderRow(source, "failed", note=str(error))
    except OSError as error:
        return FolderRow(source, "failed", note=f"{error.filename or output}: {error.strerror or error}")
    return row_of(source, output, "done", done.style.about)


def job_key(tool: StyleTransfer, sources: Sequence[Path], job: FileJob, work: FolderWork) -> str:
    """A digest of what the output depends on; ``sources`` are heard for it."""
    heard: list[str | Path] = [*sources, *work.references]
    parts = [content_digest(path) for path in heard]
    options = json.dumps(asdict(work.options), sort_keys=True)
    text = "\n".join([*parts, tool.identity()["sha256"], options, job.output.suffix, str(work.keep_tags)])
    return hashlib.sha256(text.encode()).hexdigest()


def is_done(job: FileJob, key: str) -> bool:
    settings = job.output.with_suffix(".json")
    if not (job.output.is_file() and settings.is_file()):
        return False
    try:
        return load_settings(settings).about.get("job") == key
    except UserError:
        return False


_tool: StyleTransfer | None = None


def _start(checkpoint: str) -> None:
    """In a process of the pool: one thread, one model."""
    global _tool
    import torch

    torch.set_num_threads(1)
    _tool = StyleTransfer(checkpoint)


def _do(job: FileJob, work: FolderWork) -> FolderRow:
    assert _tool is not None
    return do_one(_tool, job, work)
