"""What a build needs before its first shard: catalog and plan of its generation, made here when they are not there yet."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.builder.preflight import preflight
from pipelines.builder.progress import scan_lines
from pipelines.catalog.file import PreviousRows
from pipelines.catalog.parts import PARTS, ScanParts, batches
from pipelines.catalog.scan import Measuring, scan
from pipelines.catalog.tally import report_lines
from pipelines.catalog.tasks import run_scan_task, scan_with, tasks_of
from pipelines.corpus.description import read_corpus
from pipelines.manifest.differences import manifest_differences, sentence
from pipelines.manifest.model import Manifest
from pipelines.plan.file import ShardInfo, plan_meta, plan_overview
from pipelines.plan.make import make_plan
from pipelines.plan.summary import PlanSummary
from pipelines.render.estimate import estimate
from pipelines.sources.listing import list_recordings
from pipelines.storage.base import Storage
from pipelines.storage.open import open_storage
from pipelines.workers.crew import Crew
from pipelines.workers.executor import Executor, Work
from stylefx.corpus.schema import INDEX_FILE, catalog_file, plan_file
from stylefx.errors import UserError
from stylefx.files.sentences import explained
from stylefx.progress import Progress


@dataclass
class Prepared:
    """``shards``: of the generation to build; ``earlier``: of those before; ``summary``: of a plan made just now;
    ``nothing_new``: it was to grow, and the sources hold nothing that was not there."""

    generation: int
    shards: list[ShardInfo]
    earlier: list[ShardInfo] = field(default_factory=list)
    summary: PlanSummary | None = None
    nothing_new: bool = False


@dataclass(frozen=True)
class PrepareOptions:
    """How to come by a plan.

    ``grow``: add a generation; ``workers``: processes that scan, 0 for none but this, out of ``crew``; ``catalog``: an earlier
    scan of the same recordings, another corpus' perhaps, whose unchanged entries are kept; ``dry_run``: leave the plan in a
    temporary folder (the catalog is kept for the build); ``cluster``: opens the executor whose nodes scan.
    """

    grow: bool = False
    workers: int | None = None
    catalog: str | None = None
    dry_run: bool = False
    crew: Crew | None = None
    cluster: Callable[[Work], Executor] | None = None


def prepare(
    manifest: Manifest, out: str, options: PrepareOptions | None = None, say: Callable[[str], None] = lambda text: None
) -> Prepared:
    """Scan and plan what is not there."""
    options = options or PrepareOptions()
    grow, catalog = options.grow, options.catalog
    if catalog is not None and not Path(catalog).is_file():
        raise UserError(f"there is no catalog {catalog}; give a file that stylefx-pipe scan or build wrote")
    storage = open_storage(out)
    corpus = read_corpus(storage)
    if corpus is None and grow:
        raise UserError(f"there is no corpus in {storage.where} to grow; build one first, without --grow")
    generation = 0 if corpus is None else _generation(storage, len(corpus["generations"]) - 1, grow)
    if corpus is not None:
        found = manifest_differences(corpus["manifest"], manifest.to_dict(), growing=generation > 0 or grow)
        if found:
            raise UserError(
                f"the manifest is not the one that {storage.where} was begun with: {sentence(found)}; "
                "restore it, build into another folder with --out, or add recordings with --grow"
            )
    with ExitStack() as stack:
        stack.enter_context(explained(storage.where, "catalog and plan"))
        earlier = [_files(storage, number) for number in range(generation)]
        own_catalog, plan = (storage.local_path(name(generation)) for name in (catalog_file, plan_file))
        summary = None
        begun = corpus is not None and generation < len(corpus["generations"])
        if not _is_here(storage, plan_file(generation)) or not (begun or _is_of(plan, manifest)):
            if not (_is_here(storage, catalog_file(generation)) and begun):
                known = [own_catalog, *([Path(catalog)] if catalog else []), *(path for path, _ in reversed(earlier))]
                previous = next((path for path in known if path.is_file()), None)
                _scan(manifest, storage, own_catalog, previous, options, say)
                storage.keep(catalog_file(generation))
                ScanParts(storage).drop()
            target = Path(stack.enter_context(tempfile.TemporaryDirectory())) / plan.name if options.dry_run else plan
            say("planning")
            summary = make_plan(manifest, own_catalog, target, generation, earlier)
            plan = target
            if options.dry_run:
                summary.estimate = estimate(manifest, plan)
            else:
                storage.keep(plan_file(generation))
        shards = plan_overview(plan)
        before = [shard for _, path in earlier for shard in plan_overview(path)]
    nothing_new = not shards and generation > 0 and not begun
    _check_shards(storage, generation, shards, nothing_new)
    return Prepared(generation, shards, before, summary, nothing_new)


def _check_shards(storage: Storage, generation: int, shards: list[ShardInfo], nothing_new: bool) -> None:
    """UserError for a plan without samples; one of a growth that found nothing new is removed, with its catalog."""
    if nothing_new:
        for name in (catalog_file(generation), plan_file(generation)):
            storage.delete(name)
    elif not shards:
        raise UserError(f"the plan of {storage.where} holds no sample; see the rejects with: stylefx-pipe plan MANIFEST")


def _generation(storage: Storage, last: int, grow: bool) -> int:
    """Which generation to build. One that was begun with --grow is finished by the same command, not followed by another."""
    if not grow or (last > 0 and not _is_indexed(storage, last)):
        return last
    if not _is_indexed(storage, last):
        raise UserError(f"the corpus in {storage.where} is not finished; run build without --grow first, then grow it")
    return last + 1


def _is_indexed(storage: Storage, generation: int) -> bool:
    try:
        index = json.loads(storage.read(INDEX_FILE))
        return any(g["number"] == generation for g in index["generations"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return False


def _is_of(plan: Path, manifest: Manifest) -> bool:
    """Whether a plan that no build has begun yet was made with this manifest; another one is made anew."""
    return plan_meta(plan).get("manifest_digest") == manifest.digest()


def _files(storage: Storage, number: int) -> tuple[Path, Path]:
    """(catalog, plan) of an earlier generation."""
    for name in (catalog_file(number), plan_file(number)):
        if not _is_here(storage, name):
            raise UserError(f"{name} of an earlier generation is missing in {storage.where}; restore it")
    return storage.local_path(catalog_file(number)), storage.local_path(plan_file(number))


def _is_here(storage: Storage, name: str) -> bool:
    """Whether the corpus has the file; it can then be read at its ``local_path``."""
    try:
        storage.local_copy(name)
    except FileNotFoundError:
        return False
    return True


def _scan(
    manifest: Manifest,
    storage: Storage,
    catalog: Path,
    previous: Path | None,
    options: PrepareOptions,
    say: Callable[[str], None],
) -> None:
    """On the nodes that will render, or in this machine's processes; what shares have scanned already is taken over."""
    say("scanning the recordings")
    progress = scan_lines(Progress(bars=False, echo=say))
    if options.cluster is not None:
        _scan_on_nodes(manifest, storage, previous, options.cluster, say, progress)
    parts = ScanParts(storage)
    result = scan(manifest, catalog, previous, options.workers, progress, crew=options.crew, parts=parts)
    known = f", {result.reused:,} of them known and unchanged" if result.reused else ""
    say(f"{result.recordings:,} recordings, {result.hours:,.2f} h{known}")
    for reason, count in sorted(result.errors.items(), key=lambda item: -item[1]):
        say(f"  {count} left out: {reason}")
    for line in report_lines(result, rest="; name them all with: stylefx-pipe scan MANIFEST --left-out"):
        say(line)


def _scan_on_nodes(
    manifest: Manifest,
    storage: Storage,
    previous: Path | None,
    cluster: Callable[[Work], Executor],
    say: Callable[[str], None],
    progress: Callable[[int, float], None],
) -> None:
    """Have the batches measured and published; those that no worker survives are left to processes that are watched."""
    first: dict[str, str] = {}
    for found in list_recordings(manifest.sources, manifest.limits):
        if not found.problem:
            first.setdefault(found.source, found.uri)
    old = PreviousRows(previous) if previous is not None else None
    limits, parts = manifest.limits, ScanParts(storage)
    listing = batches(list_recordings(manifest.sources, limits))
    how = Measuring(limits.recording_hours * 3600, manifest.near_duplicates != "ignore")
    todo = tasks_of(listing, parts, old, how, limits.scan_seconds, PARTS)
    executor = cluster(run_scan_task)
    try:
        preflight(manifest, storage, executor, tuple(first.values()))
        given_up = scan_with(executor, todo, say, progress)
    finally:
        executor.close()
    if given_up:
        say(f"{given_up} batches of recordings ended their workers; they are scanned here, one recording at a time")
