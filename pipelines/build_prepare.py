"""What a build needs before its first shard: catalog and plan of its generation, made here when they are not there yet."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.build_corpus import manifest_differences, read_corpus, sentence
from pipelines.manifest import Manifest
from pipelines.plan import ShardInfo, make_plan, plan_meta, plan_overview
from pipelines.plan_estimate import estimate
from pipelines.plan_summary import PlanSummary
from pipelines.progress import scan_lines
from pipelines.scan import scan
from pipelines.shard import local_plan
from pipelines.storage import LocalStorage, Storage, explained, open_storage
from pipelines.workers import Crew
from stylefx.corpus.schema import INDEX_FILE, catalog_file, plan_file
from stylefx.errors import UserError


@dataclass
class Prepared:
    """``shards``: of the generation to build; ``earlier``: of those before; ``summary``: of a plan made just now."""

    generation: int
    shards: list[ShardInfo]
    earlier: list[ShardInfo] = field(default_factory=list)
    summary: PlanSummary | None = None


def plans_of(storage: Storage) -> list[tuple[Path, list[ShardInfo]]]:
    """(local path, shards) of every generation's plan; UserError when one is gone."""
    corpus = read_corpus(storage)
    if corpus is None:
        raise UserError(f"{storage.where} holds no corpus (no corpus.json); give the folder that build writes")
    out = []
    for generation in range(len(corpus["generations"])):
        if not storage.exists(plan_file(generation)):
            raise UserError(
                f"{plan_file(generation)} is missing in {storage.where}; run build with its manifest again, it is planned anew"
            )
        path = local_plan(storage, generation, str(corpus["generations"][generation].get("plan_digest")))
        out.append((path, plan_overview(path)))
    return out


def prepare(
    manifest: Manifest,
    out: str,
    grow: bool,
    workers: int | None,
    say: Callable[[str], None],
    dry_run: bool = False,
    crew: Crew | None = None,
    catalog: str | None = None,
) -> Prepared:
    """Scan and plan what is not there. A dry run leaves its plan in a temporary folder; a catalog is kept for the build.

    workers: processes that scan, 0 for none but this; they come out of ``crew``. catalog: an earlier scan of the same
    recordings, another corpus' perhaps; what did not change is not decoded again.
    """
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
        folder = _folder(storage, stack)
        earlier = [_files(storage, folder, number) for number in range(generation)]
        own_catalog, plan = folder / catalog_file(generation), folder / plan_file(generation)
        summary = None
        begun = corpus is not None and generation < len(corpus["generations"])
        if not _fetch(storage, plan) or not (begun or _is_of(plan, manifest)):
            if not (_fetch(storage, own_catalog) and begun):
                known = [own_catalog, *([Path(catalog)] if catalog else []), *(path for path, _ in reversed(earlier))]
                previous = next((path for path in known if path.is_file()), None)
                _scan(manifest, storage, own_catalog, previous, workers, say, crew)
            target = Path(stack.enter_context(tempfile.TemporaryDirectory())) / plan.name if dry_run else plan
            say("planning")
            summary = make_plan(manifest, own_catalog, target, generation, earlier)
            plan = target
            if dry_run:
                summary.estimate = estimate(manifest, plan)
            else:
                _store(storage, plan)
        shards = plan_overview(plan)
        before = [shard for _, path in earlier for shard in plan_overview(path)]
    if not shards:
        raise UserError(f"the plan of {storage.where} holds no sample; see the rejects with: stylefx-pipe plan MANIFEST")
    return Prepared(generation, shards, before, summary)


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


def _folder(storage: Storage, stack: ExitStack) -> Path:
    """Where catalog and plan can be local files: the corpus itself, or a temporary folder for an object store."""
    if isinstance(storage, LocalStorage):
        return storage.root
    return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="stylefx-plan-")))


def _files(storage: Storage, folder: Path, number: int) -> tuple[Path, Path]:
    paths = folder / catalog_file(number), folder / plan_file(number)
    for path in paths:
        if not _fetch(storage, path):
            raise UserError(f"{path.name} of an earlier generation is missing in {storage.where}; restore it")
    return paths


def _fetch(storage: Storage, path: Path) -> bool:
    """Whether the file is there; one in an object store is copied."""
    if isinstance(storage, LocalStorage):
        return path.is_file()
    if not path.is_file() and storage.exists(path.name):
        path.write_bytes(storage.read(path.name))
    return path.is_file()


def _store(storage: Storage, path: Path) -> None:
    if not isinstance(storage, LocalStorage):
        storage.write(path.name, path.read_bytes())


def _scan(
    manifest: Manifest,
    storage: Storage,
    catalog: Path,
    previous: Path | None,
    workers: int | None,
    say: Callable[[str], None],
    crew: Crew | None,
) -> None:
    say("scanning the recordings")
    if isinstance(storage, LocalStorage):
        storage.root.mkdir(parents=True, exist_ok=True)
    result = scan(manifest, catalog, previous=previous, workers=workers, crew=crew, progress=scan_lines(say))
    _store(storage, catalog)
    known = f", {result.reused:,} of them known and unchanged" if result.reused else ""
    say(f"{result.recordings:,} recordings, {result.hours:,.2f} h{known}")
    for reason, count in sorted(result.errors.items(), key=lambda item: -item[1]):
        say(f"  {count} left out: {reason}")
