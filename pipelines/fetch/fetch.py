"""``stylefx-pipe fetch``: download and unpack a public corpus, resumable, checked, its size shown first."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pipelines.fetch.corpora import CorpusPart, PublicCorpus, find_corpus
from pipelines.fetch.download import Expected, OnBytes, download, remote_size
from pipelines.fetch.unpack import UnpackLimits, unpack
from stylefx.errors import IncompleteError, UserError
from stylefx.files.atomic import write_whole
from stylefx.files.patience import Patience

_STATE_FOLDER = ".stylefx-fetch"


def no_progress(name: str, done_bytes: int, total_bytes: int | None) -> None:
    """For callers that show nothing."""


def fetch_corpus(
    corpus: PublicCorpus | str,
    dest: Path,
    progress: OnBytes = no_progress,
    parts: Sequence[str] = (),
    keep_archives: bool = False,
    patience: Patience | None = None,
    limits: UnpackLimits | None = None,
) -> Path:
    """Bring the parts of a corpus (default: all) to a folder and unpack them; returns the folder with the audio.

    Archives and the record of what is done lie in ``dest``/.stylefx-fetch; a second call does only what is missing.
    Errors: UserError (unknown name, refused by the server), IncompleteError (call again), DamageError (wrong bytes).
    """
    corpus = find_corpus(corpus) if isinstance(corpus, str) else corpus
    state = Path(dest) / _STATE_FOLDER
    folder = Path(dest) / corpus.folder
    wanted = [part for part in corpus.choose(tuple(parts)) if not _done(state, corpus, part)]
    if not wanted:
        return folder
    try:
        state.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{dest} cannot be written: {error.strerror or error}") from None
    _check_space(wanted, state)
    checksums = _checksums(corpus, state, patience)
    folder.mkdir(parents=True, exist_ok=True)
    for name, url in corpus.lists:
        download(url, folder / name, Expected(), progress, patience)
    for part in wanted:
        if corpus.checksum_list:
            if part.file_name not in checksums:
                raise UserError(f"the published list of checksums of {corpus.name} does not name {part.file_name}")
            part = replace(part, sha256=checksums[part.file_name])
        archive = state / f"{corpus.name}--{part.file_name}"
        download(part.url, archive, Expected(part.size_bytes, part.sha256, part.md5, part.sha1), progress, patience)
        files = unpack(archive, folder, limits)
        record = {
            "corpus": corpus.name,
            "part": part.name,
            "url": part.url,
            "sha256": part.sha256,
            "md5": part.md5,
            "sha1": part.sha1,
            "files": files,
        }
        write_whole(_record_file(state, corpus, part), json.dumps(record, indent=1).encode())
        if not keep_archives:
            archive.unlink()
    if corpus.make_list is not None and all(_done(state, corpus, part) for part in corpus.parts):
        corpus.make_list(folder)
    return folder


def part_sizes(corpus: PublicCorpus, parts: Sequence[CorpusPart]) -> list[int | None]:
    """Bytes of each part: as published, else as the server says; no server is asked for a corpus of known rough size."""
    ask = corpus.approximate_bytes is None or len(parts) <= 5
    return [p.size_bytes if p.size_bytes is not None else remote_size(p.url) if ask else None for p in parts]


def _record_file(state: Path, corpus: PublicCorpus, part: CorpusPart) -> Path:
    return state / f"{corpus.name}--{part.name}.json"


def _done(state: Path, corpus: PublicCorpus, part: CorpusPart) -> bool:
    return _record_file(state, corpus, part).exists()


def _checksums(corpus: PublicCorpus, state: Path, patience: Patience | None) -> dict[str, str]:
    """The corpus's own list of checksums, file name -> sha256; empty where it has none."""
    if corpus.checksum_list is None:
        return {}
    path = state / f"{corpus.name}--sha256.txt"
    download(corpus.checksum_list, path, Expected(), no_progress, patience)
    lines = (line.split() for line in path.read_text().splitlines())
    return {words[1]: words[0].lower() for words in lines if len(words) == 2}


def _check_space(parts: Sequence[CorpusPart], state: Path) -> None:
    """Archives are unpacked one after another and deleted, so the largest is needed twice, the others once."""
    sizes = [p.size_bytes or 0 for p in parts]
    needed, free = sum(sizes) + max(sizes), shutil.disk_usage(state).free
    if needed > free:
        raise IncompleteError(
            f"{state.parent} has {free / 1e9:.1f} GB free, about {needed / 1e9:.1f} GB are needed; make room or name fewer parts"
        )
