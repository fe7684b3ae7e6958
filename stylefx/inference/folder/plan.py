"""Which recordings of a folder become which files, and what is left out and why."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from stylefx.audio.reading import probe
from stylefx.errors import UserError
from stylefx.files.endings import AUDIO_SUFFIXES

EXTENSIONS = AUDIO_SUFFIXES | {".gsm"}
WRITTEN = {".wav": ".wav", ".flac": ".flac", ".aif": ".aif", ".aiff": ".aiff"}
_LOSSLESS = ".flac"  # for what is not written itself
_BITS = {"PCM_S8": "16", "PCM_U8": "16", "PCM_16": "16", "PCM_24": "24", "PCM_32": "float", "FLOAT": "float", "DOUBLE": "float"}


@dataclass(frozen=True)
class FileJob:
    source: Path
    output: Path


@dataclass(frozen=True)
class FolderPlan:
    """``left_out``: (path, why) of every file and linked folder that is not a job."""

    jobs: tuple[FileJob, ...]
    left_out: tuple[tuple[Path, str], ...]


def plan_folder(folder: Path, out: Path, form: str = "keep") -> FolderPlan:
    """Every recording below ``folder`` in the order of its path, with its place below ``out``.

    ``form`` "keep" keeps the format where it is written (WAV, FLAC, AIFF) and gives FLAC for others. Recordings that differ only
    in their extension keep it in the output's name, because their settings would be called alike.
    """
    if out.resolve() == folder.resolve() or folder.resolve() in out.resolve().parents:
        raise UserError(f"{out} lies in the input folder {folder}; choose an output folder outside it")
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file; the output of a folder is a folder")
    sources, left_out = _look(folder)
    if not sources:
        raise UserError(f"{folder} holds no recordings ({', '.join(sorted(EXTENSIONS))})")
    count = Counter(s.relative_to(folder).with_suffix("") for s in sources)
    jobs = []
    for source in sources:
        stem, ending = source.relative_to(folder).with_suffix(""), source.suffix.lower()
        name = stem.name if count[stem] == 1 else f"{stem.name}-{ending[1:]}"
        suffix = WRITTEN.get(ending, _LOSSLESS) if form == "keep" else f".{form}"
        jobs.append(FileJob(source, out / stem.parent / f"{name}{suffix}"))
    return FolderPlan(tuple(jobs), tuple(left_out))


def _look(folder: Path) -> tuple[list[Path], list[tuple[Path, str]]]:
    sources: list[Path] = []
    left_out: list[tuple[Path, str]] = []

    def refused(error: OSError) -> None:
        left_out.append((Path(error.filename), error.strerror or str(error)))

    for base, folders, files in os.walk(folder, onerror=refused):
        folders.sort()
        left_out += [(Path(base) / name, "a linked folder") for name in folders if (Path(base) / name).is_symlink()]
        for path in (Path(base) / name for name in sorted(files)):
            why = _why_not(path)
            if why:
                left_out.append((path, why))
            else:
                sources.append(path)
    return sorted(sources), sorted(left_out)


def _why_not(path: Path) -> str:
    if path.name.startswith("."):
        return "hidden"
    if path.suffix.lower() not in EXTENSIONS:
        return "not named like a recording"
    if not path.exists():
        return "a link to nothing"
    return "" if path.is_file() else "not a file"


def kept_bits(source: Path, output: Path) -> str:
    """The sample format that keeps what the source has; 24 bits for lossy sources, and for floats where FLAC holds none."""
    bits = _BITS.get(probe(source).subtype, "24")
    return "24" if bits == "float" and output.suffix == ".flac" else bits
