"""The commands build, status and verify."""

from __future__ import annotations

import gc
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager

import click

from stylefx.errors import DamageError, IncompleteError


class _ShareType(click.ParamType):
    """``i/n`` with 0 <= i < n."""

    name = "i/n"

    def convert(self, value, param, ctx):
        match = re.fullmatch(r"([0-9]+)/([0-9]+)", str(value))
        if not match or not int(match[1]) < int(match[2]):
            self.fail(f"{value!r} is not a share; write i/n with i from 0 to n - 1, such as 0/4", param, ctx)
        return int(match[1]), int(match[2])


@click.command()
@click.argument("manifest", type=click.Path(dir_okay=False))
@click.option("--out", help="Folder or URL of the corpus; default: the manifest's output.")
@click.option("--set", "overrides", multiple=True, metavar="NAME=VALUE", help="Override a value of the manifest; repeatable.")
@click.option("--workers", type=click.IntRange(min=1), help="Processes; default: all cores (inline: 1).")
@click.option(
    "--executor",
    type=click.Choice(["auto", "ray", "inline", "direct"]),
    default="auto",
    show_default=True,
    help="inline: child processes without Ray; ray: on the cluster at --address, or a private local runtime; "
    "auto: ray with --address, else inline on all cores; direct: in this process, to debug.",
)
@click.option("--address", help="Ray cluster to use, such as ray://head:10001 or auto.")
@click.option(
    "--catalog", help="An earlier scan of the same recordings, such as another corpus' catalog: what did not change is kept."
)
@click.option("--dry-run", is_flag=True, help="Scan and plan, print the counts, render nothing.")
@click.option("--shards", "share", type=_ShareType(), default="0/1", help="Build only this share, for array jobs.")
@click.option("--finalize", "only_finalize", is_flag=True, help="Render nothing: check all shards and write index.json.")
@click.option("--take-over", is_flag=True, help="Break the lease of another builder.")
@click.option("--grow", is_flag=True, help="Add the sources' new recordings to a corpus as its next generation.")
@click.option("--retry-quarantined", is_flag=True, help="Try again the samples that ended their workers.")
@click.option("--retry-failed", is_flag=True, help="Try again the samples that failed.")
@click.option(
    "--sample-timeout",
    "sample_limit_s",
    type=click.FloatRange(min=0),
    default=120.0,
    show_default=True,
    help="Seconds after which a sample counts as hanging; 0: never.",
)
@click.option(
    "--worker-memory",
    "memory_limit_mb",
    type=click.IntRange(min=0),
    default=0,
    help="Memory limit of a worker in MB; default: the machine's memory over its cores, at least 4096.",
)
@click.option("--progress", "mode", type=click.Choice(["auto", "lines", "json", "quiet"]), default="auto", show_default=True)
def build(
    manifest, out, overrides, catalog, share, only_finalize, retry_quarantined, retry_failed, mode, dry_run, grow, **how
) -> int:
    """Build or resume the corpus that MANIFEST describes. It scans and plans first where that was not done yet.

    Running the same command again resumes; what is committed is not rendered again.
    """
    with _uncollected():
        from pipelines.build import Options, Share
        from pipelines.build import build as build_corpus
        from pipelines.build_prepare import prepare
        from pipelines.executors_early import EarlyStart
        from pipelines.manifest import load_manifest
        from pipelines.progress import Progress

        model = load_manifest(manifest, overrides)
        out, progress = out or model.output, Progress(mode)
        early = EarlyStart(model, how)
        if not only_finalize and not _is_finished(out):
            early.load()
    with early:
        early.start(renders=not (dry_run or only_finalize or _is_finished(out)))
        prepared = prepare(model, out, grow, how["workers"], progress.say, dry_run, early.crew, catalog)
        if prepared.summary is not None and (dry_run or mode != "quiet"):
            click.echo(prepared.summary.text())
        if dry_run:
            return 0
        if only_finalize:
            return _finalize(model, out, prepared)
        options = Options(
            share=Share(*share),
            opened=early.opened,
            finalize=share == (0, 1),
            retry=("quarantined",) * retry_quarantined + ("failed",) * retry_failed,
            **how,
        )
        summary = build_corpus(model, out, prepared.shards, prepared.generation, prepared.earlier, options, progress)
    _print_summary(summary, out, manifest)
    return 0


@contextmanager
def _uncollected() -> Iterator[None]:
    """Imports make a quarter of a million objects, and collecting garbage among them takes a fifth of their time. They stay:
    what is frozen is not walked again, here or in the workers forked from here."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _is_finished(out: str) -> bool:
    """Whether a folder holds a finished corpus. Object stores are not asked: that starts threads, and this is asked first."""
    from pipelines.storage import is_remote, open_storage
    from stylefx.corpus.schema import INDEX_FILE

    return not is_remote(out) and open_storage(out).exists(INDEX_FILE)


def _finalize(model, out, prepared) -> int:
    from pipelines.finalize import finalize
    from pipelines.storage import open_storage

    storage = open_storage(out)
    index = finalize(storage, model, [*prepared.earlier, *prepared.shards], {})
    counts = {s: n for s, n in index["counts"].items()}
    click.echo(f"{storage.where}: {len(index['shards'])} shards, {sum(c['ok'] for c in counts.values())} samples; index written")
    return 0


def _print_summary(summary, out: str, manifest: str) -> None:
    from pipelines.corpus_view import CorpusView
    from pipelines.progress import duration
    from pipelines.storage import safe_uri

    tally = summary.tally
    counts = tally.counts
    click.echo(f"corpus:     {safe_uri(out)}")
    click.echo(f"shards:     {tally.shards_done} of {tally.shards} committed, {summary.rendered_shards} rendered now")
    hours = counts["ok"] * tally.sample_hours
    click.echo(f"samples:    {counts['ok']} ({hours:.2f} h of input, as much of target)")
    left_out = ", ".join(f"{n} {status}" for status, n in counts.items() if n and status != "ok")
    if left_out:
        click.echo(f"left out:   {left_out}")
        for key, status, reason in summary.bad[:10]:
            click.echo(f"  {key}: {status}: {reason}")
        for reason, n in summary.filtered.most_common(5):
            click.echo(f"  {n} filtered: {reason}")
    planned = ", ".join(f"{n:,} {reason}" for reason, (n, _) in CorpusView(out).rejected().items() if n)
    if planned:
        click.echo(f"not planned: {planned}")
    for name, reason in summary.repaired[:10]:
        click.echo(f"repaired:   {name} ({reason})")
    if tally.rendered:
        stages = sorted(tally.seconds.items(), key=lambda item: -item[1])
        text = ", ".join(f"{name} {1000 * s / tally.rendered:.1f}" for name, s in stages)
        click.echo(f"time:       {duration(summary.wall_s)}, {summary.startup_s:.1f} s of it start-up, {summary.workers} workers")
        click.echo(f"per sample: {text} ms")
    if len(summary.environments) > 1:
        click.echo(
            f"note:       made in {len(summary.environments)} environments; between them samples agree to 1 LSB, not in bytes"
        )
    if summary.finished:
        click.echo(f"next:       stylefx-pipe verify {safe_uri(out)}   or   stylefx-pipe report {safe_uri(out)}")
    else:
        click.echo(f"next:       when all shares are done: stylefx-pipe build {manifest} --finalize")


@click.command()
@click.argument("corpus")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def status(corpus, as_json) -> int:
    """Say how far the build of CORPUS is. Works while it runs, from any machine that sees the folder or bucket."""
    from pipelines.status import read_status
    from pipelines.storage import open_storage

    result = read_status(open_storage(corpus))
    click.echo(json.dumps(result.to_dict()) if as_json else result.text())
    return 0


@click.command()
@click.argument("corpus")
@click.option(
    "--deep",
    type=click.FloatRange(min=0, max=1),
    is_flag=False,
    flag_value=0.02,
    help="Also render this share of the samples again and compare; default 0.02.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Chooses the samples of --deep.")
@click.option("--drop-damaged", is_flag=True, help="Remove the sidecars of damaged shards, so that the next build renders them.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def verify(corpus, deep, seed, drop_damaged, as_json) -> int:
    """Check every byte of CORPUS against what was committed, and that no group and no audio is in two splits."""
    from pipelines.storage import open_storage
    from pipelines.verify_run import drop, run_verify

    storage = open_storage(corpus)
    report = run_verify(storage, deep or 0.0, seed)
    dropped = drop(storage, report) if drop_damaged else []
    if as_json:
        click.echo(json.dumps(report.to_dict()))
    else:
        for finding in report.findings:
            click.echo(f"damage: {finding}")
        click.echo(report.text())
        for name in dropped:
            click.echo(f"dropped: {name}; the next build renders it again")
    if report.findings:
        cure = "run build again" if drop_damaged else "run verify with --drop-damaged, then build again"
        raise DamageError(f"{len(report.findings)} findings in {report.where}; {cure}")
    if report.missing:
        raise IncompleteError(f"{len(report.missing)} of {report.planned} shards are not committed yet; run build to resume")
    return 0
