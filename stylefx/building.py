"""Corpora from Python: ``stylefx.build_corpus`` and ``stylefx.plan_corpus``.

The library knows no pipeline; this file is the one exception. It loads ``pipelines`` when it is called, and says what is in
its way where that is somebody else's package of the same name.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stylefx.errors import UserError
from stylefx.extras import missing_package
from stylefx.files.processes.spawning import refuse_while_starting

if TYPE_CHECKING:
    from pipelines.python.results import BuiltCorpus, PlannedCorpus

ManifestLike = str | PathLike[str] | Mapping[str, Any]


def build_corpus(
    manifest: ManifestLike,
    out: str | PathLike[str] | None = None,
    *,
    workers: int | None = None,
    overrides: Sequence[str] = (),
    grow: bool = False,
    executor: str = "auto",
    address: str | None = None,
    progress: str = "auto",
    **options: Any,
) -> BuiltCorpus:
    """Build, resume or grow the corpus that a manifest describes; what ``stylefx-pipe build`` does, byte for byte.

    ``manifest``: a YAML file, or its content as a dict. ``out``: folder or URL, by default the manifest's ``output``.
    ``overrides``: ("segment.sample_rate=44100", ...). ``progress``: auto, lines, json or quiet, on stderr. ``options``:
    take_over, retry (("quarantined", "failed")), catalog, sample_limit_s, memory_limit_mb.

    Raises what the command would say: UserError, IncompleteError (call again to resume), Interrupted. A script that calls
    this needs no ``__main__`` guard: the workers do not run it again.
    """
    with _pipelines("stylefx.build_corpus"):
        from pipelines.python.build import build

        return build(manifest, out, workers, overrides, grow, executor, address, progress, **options)


def plan_corpus(
    manifest: ManifestLike,
    out: str | PathLike[str] | None = None,
    *,
    workers: int | None = None,
    overrides: Sequence[str] = (),
    grow: bool = False,
    progress: str = "auto",
) -> PlannedCorpus:
    """Scan and plan, render nothing: hours, shards and groups per split, and what was left out and why.

    What was scanned is kept in ``out`` for the build.
    """
    with _pipelines("stylefx.plan_corpus"):
        from pipelines.python.build import plan

        return plan(manifest, out, workers, overrides, grow, progress)


@contextmanager
def _pipelines(called: str) -> Iterator[None]:
    """Around what needs them: ours are there, and a package that they miss is said in a sentence."""
    refuse_while_starting(called)
    _find_pipelines()
    try:
        yield
    except ModuleNotFoundError as error:
        text = missing_package(error)
        raise (UserError(text) if text else error) from error


def _find_pipelines() -> None:
    """UserError where ``import pipelines`` would find another package than ours."""
    found = importlib.util.find_spec("pipelines")
    if found is None:
        raise UserError("the package pipelines, which comes with stylefx, is not there; install stylefx again")
    places = [Path(place) for place in found.submodule_search_locations or [found.origin or "?"]]
    if not any(place.resolve().parent == Path(__file__).resolve().parents[1] for place in places):
        raise UserError(
            f"the pipelines that Python finds is {places[0]}, not the package that comes with stylefx; rename that folder, or "
            "run from another one (the command stylefx-pipe finds its own)"
        )
