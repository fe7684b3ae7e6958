"""The commands build, status and verify."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from pipelines.cli.share import ShareType
from stylefx.command_line import importing, is_quiet, json_option, out_option, overridable, say, show_json
from stylefx.errors import DamageError, IncompleteError
from stylefx.files.address import safe_uri

if TYPE_CHECKING:
    from pipelines.builder.prepare import Prepared
    from pipelines.manifest.model import Manifest


@click.command()
@click.argument("manifest", type=click.Path(dir_okay=False))
@overridable
@out_option("Folder or URL of the corpus; default: the manifest's output.")
@click.option("--workers", type=click.IntRange(min=1), help="Processes; default: all cores.")
@click.option(
    "--executor",
    type=click.Choice(["auto", "ray", "inline", "direct"]),
    default="auto",
    show_default=True,
    help="inline: child processes without Ray; ray: on the cluster at --address, or a private local runtime; "
    "auto: ray with --address, else inline; direct: in this process, to debug.",
)
@click.option(
    "--address",
    help="Ray cluster to use, such as ray://head:10001 or auto; default: what RAY_ADDRESS names. local: a private runtime.",
)
@click.option(
    "--catalog", help="An earlier scan of the same recordings, such as another corpus' catalog: what did not change is kept."
)
@click.option("--dry-run", is_flag=True, help="Scan and plan, print the counts, render nothing.")
@click.option("--shards", "share", type=ShareType(), default="0/1", help="Build only this share, for array jobs.")
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
@click.option("--lineage", metavar="FILE", help="Append OpenLineage events of the build, one JSON object a line.")
@json_option("Print the counts as JSON at the end; progress goes to stderr.")
def build(
    manifest: str,
    out: str | None,
    overrides: tuple[str, ...],
    workers: int | None,
    executor: str,
    address: str | None,
    catalog: str | None,
    dry_run: bool,
    share: tuple[int, int],
    only_finalize: bool,
    take_over: bool,
    grow: bool,
    retry_quarantined: bool,
    retry_failed: bool,
    sample_limit_s: float,
    memory_limit_mb: int,
    mode: str,
    lineage: str | None,
    as_json: bool,
) -> int:
    """Build or resume the corpus that MANIFEST describes. It scans and plans first where that was not done yet.

    Running the same command again resumes; what is committed is not rendered again. NAME=VALUE changes a value of the manifest,
    as in segment.sample_rate=44100 or sources.0.path=folder.
    """
    with importing():  # workers that are forked from here do not walk it either
        from pipelines.builder.early import EarlyStart
        from pipelines.builder.job import BuildOptions
        from pipelines.builder.lease import Share
        from pipelines.builder.prepare import PrepareOptions, prepare
        from pipelines.builder.progress import BuildProgress
        from pipelines.builder.run import build as build_corpus
        from pipelines.cli.summary import build_counts, print_summary
        from pipelines.corpus.description import continued
        from pipelines.lineage.events import Lineage
        from pipelines.manifest.load import load_manifest
        from pipelines.storage.open import open_storage
        from pipelines.workers.runtime import address_from_environment

        model = load_manifest(manifest, overrides)
        out, progress = out or model.output, BuildProgress("quiet" if is_quiet() else mode)
        if named := address_from_environment(executor, address):
            address = named
            progress.say(f"using the Ray cluster that RAY_ADDRESS names: {address} (not with --address local)")
        options = BuildOptions(
            executor=executor,
            workers=workers,
            address=address,
            share=Share(*share),
            take_over=take_over,
            retry=("quarantined",) * retry_quarantined + ("failed",) * retry_failed,
            finalize=share == (0, 1),
            sample_limit_s=sample_limit_s,
            memory_limit_mb=memory_limit_mb,
        )
        early = EarlyStart(model, options)
        if not only_finalize and not _is_finished(out):
            early.load(progress.say)
    with early, Lineage(lineage, f"build {model.name}", [s.path for s in model.sources], [out]) as events:
        early.start(renders=not (dry_run or only_finalize or _is_finished(out)))
        model = continued(open_storage(out), model)
        prepared = prepare(
            model, out, PrepareOptions(grow, early.count, catalog, dry_run, early.crew, early.cluster), progress.say
        )
        if prepared.summary is not None and (dry_run or mode != "quiet"):
            say(prepared.summary.text(), err=as_json)
        if dry_run or prepared.nothing_new:
            return _planned(prepared, out, as_json)
        if only_finalize:
            return _finalize(model, out, prepared, as_json)
        options = replace(options, opened=early.opened)
        summary = build_corpus(model, out, prepared.shards, prepared.generation, prepared.earlier, options, progress)
        events.counts(rows=summary.tally.counts["ok"])
    show_json(build_counts(summary, out)) if as_json else print_summary(summary, out, manifest)
    return 0


def _planned(prepared: Prepared, out: str, as_json: bool) -> int:
    """What a dry run, or a growth without anything new, has to say."""
    if as_json:
        plan = None if prepared.summary is None else prepared.summary.to_dict()
        show_json({"corpus": safe_uri(out), "plan": plan, "nothing_new": prepared.nothing_new})
    elif prepared.nothing_new:
        say(f"{safe_uri(out)} is up to date: the sources hold nothing new")
    return 0


def _is_finished(out: str) -> bool:
    """Whether a folder holds a finished corpus. Object stores are not asked: that starts threads, and this is asked first."""
    from pipelines.storage.open import open_storage
    from stylefx.corpus.schema import INDEX_FILE
    from stylefx.files.address import is_remote

    return not is_remote(out) and open_storage(out).exists(INDEX_FILE)


def _finalize(model: Manifest, out: str, prepared: Prepared, as_json: bool) -> int:
    from pipelines.builder.finalize import finalize
    from pipelines.storage.open import open_storage

    storage = open_storage(out)
    index = finalize(storage, model, [*prepared.earlier, *prepared.shards], {})
    shards, samples = len(index["shards"]), sum(c["ok"] for c in index["counts"].values())
    if as_json:
        show_json({"corpus": storage.where, "shards": shards, "ok": samples, "finished": True})
    else:
        say(f"{storage.where}: {shards} shards, {samples} samples; index written")
    return 0


@click.command()
@click.argument("corpus")
@json_option()
def status(corpus: str, as_json: bool) -> int:
    """Say how far the build of CORPUS is. Works while it runs, from any machine that sees the folder or bucket."""
    from pipelines.builder.status import read_status
    from pipelines.storage.open import open_storage

    result = read_status(open_storage(corpus))
    show_json(result.to_dict()) if as_json else say(result.text())
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
@json_option()
def verify(corpus: str, deep: float | None, seed: int, drop_damaged: bool, as_json: bool) -> int:
    """Check every byte of CORPUS, and of overlays, against what was committed; that no group and no audio is in two splits."""
    from pipelines.overlays.build import verify_overlays
    from pipelines.storage.open import open_storage
    from pipelines.verify.report import Finding
    from pipelines.verify.run import drop, run_verify
    from stylefx.progress import Progress

    storage = open_storage(corpus)
    with Progress() as progress:
        report = run_verify(storage, deep or 0.0, seed, progress)
        report.findings += [Finding("", "", text) for text in verify_overlays(storage)]
    dropped = drop(storage, report) if drop_damaged else []
    if as_json:
        show_json(report.to_dict())
    else:
        for finding in report.findings:
            say(f"damage: {finding}")
        say(report.text())
        for name in dropped:
            say(f"dropped: {name}; the next build renders it again")
    if report.findings:
        cure = "run build again" if drop_damaged else "run verify with --drop-damaged, then build again"
        raise DamageError(f"{len(report.findings)} findings in {report.where}; {cure}")
    if report.missing:
        raise IncompleteError(f"{len(report.missing)} of {report.planned} shards are not committed yet; run build to resume")
    return 0
