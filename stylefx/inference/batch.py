"""A folder of recordings, one after another; a file that cannot be done is named and the rest goes on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from stylefx.errors import StylefxError, UserError

EXTENSIONS = frozenset({".wav", ".flac", ".aif", ".aiff", ".ogg", ".opus", ".mp3", ".caf", ".w64", ".g722"})


@dataclass(frozen=True)
class Job:
    source: Path
    output: Path


def plan_folder(folder: Path, out: Path, suffix: str = ".wav") -> list[Job]:
    """Every recording below ``folder`` in the order of its path, with its place below ``out``.

    Two recordings that differ only in their extension keep it in the output's name.
    """
    if out.resolve() == folder.resolve() or folder.resolve() in out.resolve().parents:
        raise UserError(f"{out} lies in the input folder {folder}; choose an output folder outside it")
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file; the output of a folder is a folder")
    sources = sorted(
        p for p in folder.rglob("*") if p.suffix.lower() in EXTENSIONS and p.is_file() and not p.name.startswith(".")
    )
    if not sources:
        raise UserError(f"{folder} holds no recordings ({', '.join(sorted(EXTENSIONS))})")
    stems = [s.relative_to(folder).with_suffix("") for s in sources]
    jobs = []
    for source, stem in zip(sources, stems, strict=True):
        name = stem.name if stems.count(stem) == 1 else f"{stem.name}-{source.suffix[1:].lower()}"
        jobs.append(Job(source, out / stem.parent / f"{name}{suffix}"))
    return jobs


def run_folder(
    jobs: list[Job], work: Callable[[Job], object], report: Callable[[int], None] = lambda done: None
) -> list[tuple[Job, StylefxError]]:
    """``work`` on each job; returns those that failed with why. A full disk ends the batch."""
    failed: list[tuple[Job, StylefxError]] = []
    for done, job in enumerate(jobs, start=1):
        try:
            job.output.parent.mkdir(parents=True, exist_ok=True)
            work(job)
        except UserError as error:
            failed.append((job, error))
        except OSError as error:
            failed.append((job, UserError(f"{job.output.parent} cannot be made: {error.strerror or error}")))
        report(done)
    return failed
