"""What is signed: a finished corpus as a folder, or the two files of a model, and where the signature lies."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipelines.storage.base import BUILD_FOLDER
from stylefx.corpus.schema import CORPUS_FILE, INDEX_FILE
from stylefx.errors import UserError
from stylefx.files.address import is_remote

SIGNATURE = "signature.sigstore.json"


@dataclass(frozen=True)
class Signed:
    """``files`` of a model; none for a corpus, whose whole ``folder`` counts but for ``ignored`` paths in it."""

    what: str
    folder: Path
    files: tuple[Path, ...]
    signature: Path
    ignored: tuple[str, ...] = ()

    @contextmanager
    def as_folder(self) -> Iterator[Path]:
        """A folder that holds what is signed and nothing else."""
        if not self.files:
            yield self.folder
            return
        with tempfile.TemporaryDirectory(prefix="stylefx-") as name:
            place = Path(name) / "model"
            place.mkdir()
            for file in self.files:
                try:
                    os.link(file.resolve(), place / file.name)
                except OSError:  # another disk, or one without links
                    shutil.copyfile(file, place / file.name)
            yield place


def find_signed(path: str, signature: Path | None) -> Signed:
    """The corpus or the model at a path; UserError where there is neither."""
    if is_remote(path):
        raise UserError(f"{path} lies in an object store; sign and check a local copy, and publish the signature with it")
    place = Path(path)
    if (place / CORPUS_FILE).is_file():
        if not (place / INDEX_FILE).is_file():
            raise UserError(f"{place} is not finished: it has no {INDEX_FILE}; finish it with stylefx-pipe build, then sign it")
        inside = _inside(place, signature or place / SIGNATURE)
        return Signed("corpus", place, (), signature or place / SIGNATURE, (BUILD_FOLDER, *inside))
    stem = _stem(place)
    files = tuple(stem.with_name(stem.name + suffix) for suffix in (".safetensors", ".json"))
    missing = [str(file) for file in files if not file.is_file()]
    if missing:
        raise UserError(f"{path} is neither a corpus ({CORPUS_FILE}) nor a model: there is no {missing[0]}")
    return Signed("model", stem.parent, files, signature or stem.with_name(f"{stem.name}.{SIGNATURE}"))


def _inside(folder: Path, signature: Path) -> tuple[str, ...]:
    """The signature's own name where it lies in the folder: it cannot sign itself. A link that leads out is no part of it."""
    try:
        return (signature.resolve().relative_to(folder.resolve()).as_posix(),)
    except ValueError:
        return ()


def _stem(path: Path) -> Path:
    """A model's name without its endings: of a file, a checkpoint's folder, or a run's best checkpoint."""
    if path.suffix in (".safetensors", ".json"):
        return path.with_suffix("")
    for pointer in ("best.json", "last.json"):
        file = path / "checkpoints" / pointer
        if file.is_file():
            try:
                return path / "checkpoints" / str(json.loads(file.read_text(encoding="utf-8"))["checkpoint"]) / "model"
            except (ValueError, KeyError, TypeError) as error:
                raise UserError(f"{file} names no checkpoint ({error}); give the model's own path") from error
    return path / "model" if path.is_dir() else path
