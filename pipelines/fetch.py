"""``stylefx-pipe fetch``: download and unpack a public corpus, resumable, checked, its size shown first."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click

from pipelines.fetch_download import Expected, Patience, Progress, download, remote_size
from pipelines.fetch_table import PUBLIC_CORPORA, Part, PublicCorpus, find_corpus
from pipelines.fetch_unpack import Limits, unpack
from stylefx.errors import IncompleteError, UserError

_STATE_FOLDER = ".stylefx-fetch"


def no_progress(name: str, done_bytes: int, total_bytes: int | None) -> None:
    """For callers that show nothing."""


def fetch_corpus(
    corpus: PublicCorpus | str,
    dest: Path,
    progress: Progress = no_progress,
    parts: Sequence[str] = (),
    keep_archives: bool = False,
    patience: Patience | None = None,
    limits: Limits | None = None,
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
        download(part.url, archive, Expected(part.size_bytes, part.sha256, part.md5), progress, patience)
        files = unpack(archive, folder, limits)
        record = {
            "corpus": corpus.name,
            "part": part.name,
            "url": part.url,
            "sha256": part.sha256,
            "md5": part.md5,
            "files": files,
        }
        _record_file(state, corpus, part).write_text(json.dumps(record, indent=1))
        if not keep_archives:
            archive.unlink()
    return folder


def part_sizes(corpus: PublicCorpus, parts: Sequence[Part]) -> list[int | None]:
    """Bytes of each part: as published, else as the server says; no server is asked for a corpus of known rough size."""
    ask = corpus.approximate_bytes is None or len(parts) <= 5
    return [p.size_bytes if p.size_bytes is not None else remote_size(p.url) if ask else None for p in parts]


def _record_file(state: Path, corpus: PublicCorpus, part: Part) -> Path:
    return state / f"{corpus.name}--{part.name}.json"


def _done(state: Path, corpus: PublicCorpus, part: Part) -> bool:
    return _record_file(state, corpus, part).exists()


def _checksums(corpus: PublicCorpus, state: Path, patience: Patience | None) -> dict[str, str]:
    """The corpus's own list of checksums, file name -> sha256; empty where it has none."""
    if corpus.checksum_list is None:
        return {}
    path = state / f"{corpus.name}--sha256.txt"
    download(corpus.checksum_list, path, Expected(), no_progress, patience)
    lines = (line.split() for line in path.read_text().splitlines())
    return {words[1]: words[0].lower() for words in lines if len(words) == 2}


def _check_space(parts: Sequence[Part], state: Path) -> None:
    """Archives are unpacked one after another and deleted, so the largest is needed twice, the others once."""
    sizes = [p.size_bytes or 0 for p in parts]
    needed, free = sum(sizes) + max(sizes), shutil.disk_usage(state).free
    if needed > free:
        raise IncompleteError(
            f"{state.parent} has {free / 1e9:.1f} GB free, about {needed / 1e9:.1f} GB are needed; make room or name fewer parts"
        )


class _Printer:
    """One line per file: rewritten on a terminal, every ten percent elsewhere."""

    def __init__(self) -> None:
        self.terminal = sys.stderr.isatty()
        self.name, self.mark, self.started, self.first = "", -1, 0.0, 0

    def __call__(self, name: str, done_bytes: int, total_bytes: int | None) -> None:
        now = time.monotonic()
        if name != self.name:
            self.name, self.mark, self.started, self.first = name, -1, now, done_bytes
        finished = done_bytes == total_bytes
        mark = int(now * 4) if self.terminal else int(10 * done_bytes / total_bytes) if total_bytes else done_bytes >> 28
        if mark == self.mark and not finished:
            return
        self.mark = mark
        rate = (done_bytes - self.first) / max(now - self.started, 1e-3) / 1e6
        share = f" of {total_bytes / 1e9:.2f} GB ({100 * done_bytes / total_bytes:.0f} %)" if total_bytes else " GB"
        line = f"{name.partition('--')[2] or name}: {done_bytes / 1e9:.2f}{share}, {rate:.1f} MB/s"
        click.echo(f"\r{line:<76}" if self.terminal else line, nl=finished or not self.terminal, err=True)


def _gigabytes(size: int | None) -> str:
    return "size not published" if size is None else f"{size / 1e9:.2f} GB"


def _show(corpus: PublicCorpus, parts: Sequence[Part]) -> None:
    sizes = part_sizes(corpus, parts)
    click.echo(f"{corpus.title}\n{corpus.homepage}\nlicence: {corpus.licence}")
    if len(parts) <= 12:
        for part, size in zip(parts, sizes, strict=True):
            check = (
                "sha256" if part.sha256 or corpus.checksum_list else "md5" if part.md5 else "size only: no checksum is published"
            )
            click.echo(f"  {part.name:<16} {_gigabytes(size):>20}   checked by {check}")
    if None not in sizes:
        click.echo(f"to download: {_gigabytes(sum(sizes))} in {len(parts)} parts, about as much again unpacked")
    elif corpus.approximate_bytes:
        rough = corpus.approximate_bytes * len(parts) / len(corpus.parts)
        click.echo(f"to download: about {_gigabytes(int(rough))} in {len(parts)} parts, about as much again unpacked")
    else:
        click.echo(f"to download: {len(parts)} parts, the server does not say how large")


@click.command("fetch")
@click.argument("name", required=False)
@click.argument("dest", type=click.Path(file_okay=False, path_type=Path), required=False)
@click.option("--part", "parts", multiple=True, help="Only this part; may be given again.")
@click.option("--keep-archives", is_flag=True, help="Keep the downloaded archives.")
@click.option("--dry-run", is_flag=True, help="Show the parts and sizes, download nothing.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask before the download begins.")
def fetch(name: str | None, dest: Path | None, parts: tuple[str, ...], keep_archives: bool, dry_run: bool, yes: bool) -> None:
    """Download and unpack the public corpus NAME below the folder DEST; without NAME, list those there are.

    Interrupted downloads go on where they stopped; every archive is checked before it is unpacked.
    """
    if name is None:
        for corpus in PUBLIC_CORPORA.values():
            click.echo(f"{corpus.name:<24}{corpus.title}")
        return
    corpus = find_corpus(name)
    chosen = corpus.choose(parts)
    if dest is None and not dry_run:
        raise UserError(f"say where to put it: stylefx-pipe fetch {name} FOLDER")
    missing = chosen if dest is None else tuple(p for p in chosen if not _done(dest / _STATE_FOLDER, corpus, p))
    if not missing:
        click.echo(f"{name} is complete in {dest}")
        return
    _show(corpus, missing)
    if dry_run:
        return
    if not yes and sys.stdin.isatty():
        click.confirm("download now?", default=True, abort=True)
    click.echo(f"done: {fetch_corpus(corpus, dest, _Printer(), [p.name for p in missing], keep_archives)}")
