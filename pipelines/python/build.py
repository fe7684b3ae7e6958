"""A manifest in, a corpus or its plan out: the commands ``build`` and ``build --dry-run`` as functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from os import PathLike, fspath
from typing import Any

from pipelines.builder.job import BuildOptions
from pipelines.builder.prepare import Prepared, PrepareOptions, prepare
from pipelines.builder.progress import BuildProgress
from pipelines.builder.run import build as run_build
from pipelines.corpus.description import continued
from pipelines.manifest.load import load_manifest, manifest_of
from pipelines.manifest.model import Manifest
from pipelines.plan.file import plan_meta
from pipelines.plan.summary import PlanSummary
from pipelines.python.results import BuiltCorpus, PlannedCorpus
from pipelines.storage.open import open_storage
from pipelines.workers.crew import Crew
from pipelines.workers.runtime import address_from_environment
from stylefx.corpus.schema import plan_file
from stylefx.errors import UserError
from stylefx.nearest import did_you_mean

ManifestLike = str | PathLike[str] | Mapping[str, Any]
_OPTIONS = ("take_over", "retry", "catalog", "sample_limit_s", "memory_limit_mb")
_PROGRESS = ("auto", "lines", "json", "quiet")


def build(
    manifest: ManifestLike,
    out: str | PathLike[str] | None,
    workers: int | None,
    overrides: Sequence[str],
    grow: bool,
    executor: str,
    address: str | None,
    progress: str,
    **options: Any,
) -> BuiltCorpus:
    """See ``stylefx.build_corpus``. Workers are spawned, never forked: the caller's process is not ours to copy."""
    for name in options:
        if name not in _OPTIONS:
            raise UserError(f"build_corpus has no option {name!r}{did_you_mean(name, _OPTIONS, 'it has ' + ', '.join(_OPTIONS))}")
    model, place, shown = _begin(manifest, out, overrides, progress)
    catalog = options.pop("catalog", None)
    address = address or address_from_environment(executor, address)
    with Crew() as crew:
        prepared = prepare(model, place, PrepareOptions(grow, workers, _text(catalog), False, crew), shown.say)
        if prepared.nothing_new:
            prepared = prepare(model, place, PrepareOptions(False, workers, None, False, crew), shown.say)
        asked = BuildOptions(executor=executor, workers=workers, address=address, **options)
        opened = replace(asked, opened=lambda: asked.open(crew))
        summary = run_build(model, place, prepared.shards, prepared.generation, prepared.earlier, opened, shown)
    return BuiltCorpus(place, summary)


def plan(
    manifest: ManifestLike,
    out: str | PathLike[str] | None,
    workers: int | None,
    overrides: Sequence[str],
    grow: bool,
    progress: str,
) -> PlannedCorpus:
    """See ``stylefx.plan_corpus``."""
    model, place, shown = _begin(manifest, out, overrides, progress)
    try:
        prepared = prepare(model, place, PrepareOptions(grow, workers, dry_run=True), shown.say)
    finally:
        shown.stop()
    return PlannedCorpus(place, prepared.summary or _known_summary(place, prepared))


def _begin(
    manifest: ManifestLike, out: str | PathLike[str] | None, overrides: Sequence[str], progress: str
) -> tuple[Manifest, str, BuildProgress]:
    """The checked manifest, the place of the corpus, and what shows how far it is."""
    if progress not in _PROGRESS:
        raise UserError(f"progress is {progress!r}{did_you_mean(progress, _PROGRESS, 'give ' + ', '.join(_PROGRESS))}")
    if isinstance(manifest, Mapping):
        model = manifest_of({**({} if out is None else {"output": fspath(out)}), **manifest}, overrides)
    else:
        model = load_manifest(fspath(manifest), overrides)
    place = model.output if out is None else fspath(out)
    return continued(open_storage(place), model), place, BuildProgress(progress)


def _known_summary(place: str, prepared: Prepared) -> PlanSummary:
    """What a plan that was there already says of itself."""
    path = open_storage(place).local_copy(plan_file(prepared.generation))
    known = plan_meta(path).get("summary", {})
    return PlanSummary(**{k: v for k, v in known.items() if k in PlanSummary.__dataclass_fields__})


def _text(path: str | PathLike[str] | None) -> str | None:
    return None if path is None else fspath(path)
