"""The command fetch."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from pipelines.fetch.corpora import PUBLIC_CORPORA, CorpusPart, PublicCorpus, find_corpus
from pipelines.fetch.fetch import _STATE_FOLDER, _done, fetch_corpus, part_sizes
from stylefx.command_line import json_option, out_option, say, show_json
from stylefx.errors import UserError
from stylefx.progress import Progress


class _Downloads:
    """Shows each file while it comes, and a line when it is there."""

    def __init__(self, progress: Progress):
        self._progress = progress

    def __call__(self, name: str, done_bytes: int, total_bytes: int | None) -> None:
        name = name.partition("--")[2] or name
        self._progress.update(name, done_bytes, total_bytes)
        share = f" of {total_bytes / 1e9:.2f} GB ({100 * done_bytes / total_bytes:.0f} %)" if total_bytes else " GB"
        line = f"{name}: {done_bytes / 1e9:.2f}{share}"
        if done_bytes == total_bytes:
            self._progress.finish(name, line)
        else:
            self._progress.line(line)


def _gigabytes(size: int | None) -> str:
    return "size not published" if size is None else f"{size / 1e9:.2f} GB"


def _show(corpus: PublicCorpus, parts: Sequence[CorpusPart]) -> None:
    sizes = part_sizes(corpus, parts)
    say(f"{corpus.title}\n{corpus.homepage}\nlicence: {corpus.licence}")
    if len(parts) <= 12:
        for part, size in zip(parts, sizes, strict=True):
            published = [name for name in ("sha256", "sha1", "md5") if getattr(part, name)]
            check = "sha256" if corpus.checksum_list else [*published, "size only: no checksum is published"][0]
            say(f"  {part.name:<16} {_gigabytes(size):>20}   checked by {check}")
    known = [size for size in sizes if size is not None]
    if len(known) == len(sizes):
        say(f"to download: {_gigabytes(sum(known))} in {len(parts)} parts, about as much again unpacked")
    elif corpus.approximate_bytes:
        rough = corpus.approximate_bytes * len(parts) / len(corpus.parts)
        say(f"to download: about {_gigabytes(int(rough))} in {len(parts)} parts, about as much again unpacked")
    else:
        say(f"to download: {len(parts)} parts, the server does not say how large")


@click.command("fetch")
@click.argument("name", required=False)
@click.argument("dest", type=click.Path(file_okay=False, path_type=Path), required=False)
@out_option("The same as DEST.", type=click.Path(file_okay=False, path_type=Path))
@click.option("--part", "parts", multiple=True, help="Only this part; may be given again.")
@click.option("--keep-archives", is_flag=True, help="Keep the downloaded archives.")
@click.option("--dry-run", is_flag=True, help="Show the parts and sizes, download nothing.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask before the download begins.")
@json_option("Print what there is, or what was fetched, as JSON.")
def fetch(
    name: str | None,
    dest: Path | None,
    out: Path | None,
    parts: tuple[str, ...],
    keep_archives: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Download and unpack the public corpus NAME below the folder DEST; without NAME, list those there are.

    Interrupted downloads go on where they stopped; every archive is checked before it is unpacked.
    """
    if name is None:
        _list(as_json)
        return
    if dest is not None and out is not None:
        raise UserError(f"the folder is given twice, {dest} and --out {out}; give one")
    dest, corpus = dest or out, find_corpus(name)
    chosen = corpus.choose(parts)
    if dest is None and not dry_run:
        raise UserError(f"say where to put it: stylefx-pipe fetch {name} FOLDER")
    missing = chosen if dest is None else tuple(p for p in chosen if not _done(dest / _STATE_FOLDER, corpus, p))
    if as_json:
        sizes = zip(missing, part_sizes(corpus, missing), strict=True)
        show_json({"name": name, "licence": corpus.licence, "missing": [{"part": p.name, "bytes": size} for p, size in sizes]})
    if not missing:
        say(f"{name} is complete in {dest}", err=as_json)
        return
    if not as_json:
        _show(corpus, missing)
    if dry_run or dest is None:
        return
    if not yes and sys.stdin.isatty():
        click.confirm("download now?", default=True, abort=True)
    with Progress(in_bytes=True) as progress:
        folder = fetch_corpus(corpus, dest, _Downloads(progress), [p.name for p in missing], keep_archives)
    say(f"done: {folder}", err=as_json)


def _list(as_json: bool) -> None:
    """The corpora that there are."""
    if as_json:
        show_json([{"name": c.name, "title": c.title, "licence": c.licence} for c in PUBLIC_CORPORA.values()])
        return
    for corpus in PUBLIC_CORPORA.values():
        say(f"{corpus.name:<24}{corpus.title}")
