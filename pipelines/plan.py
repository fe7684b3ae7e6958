"""The plan: which samples go into which shard. One parquet file, one row group per shard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.manifest import Manifest
from pipelines.plan_file import ShardInfo, open_plan, plan_meta, plan_overview, stamp
from pipelines.plan_rows import rows_digest
from pipelines.plan_summary import PlanSummary
from pipelines.scan_catalog import reading
from pipelines.source_files import join_uri
from stylefx.errors import DamageError, UserError

__all__ = ["Part", "PlannedSample", "ShardInfo", "make_plan", "plan_meta", "plan_overview", "read_shard"]


@dataclass(frozen=True)
class Part:
    """A stretch of one recording, in the recording's own frames.

    ``recording`` is the identity ``source/relative path``; ``uri`` is for ``pipelines.sources.open_uri``; ``sha256`` is of
    the file's bytes (hex); bit c of ``active_mask`` says that channel c carries signal somewhere in the recording.
    """

    recording: str
    uri: str
    sha256: str
    sample_rate: int
    channels: int
    start_frame: int
    num_frames: int
    active_mask: int = 0


@dataclass(frozen=True)
class PlannedSample:
    """One sample to render: the parts, one after another, give at least ``read_frames`` frames at the corpus' rate;
    these, played ``tempo`` times as fast, give exactly two halves. ``tempo`` 1 and ``pitch_cents`` 0: not augmented."""

    key: str
    split: str
    source: str
    group: str
    label: str
    licence: str
    attribution: str
    generation: int
    parts: tuple[Part, ...]
    pitch_cents: float
    tempo: float
    read_frames: int


def read_shard(plan_path: str | Path, number: int, roots: Mapping[str, str] | None = None) -> list[PlannedSample]:
    """The samples of one shard, in the order in which they are written.

    roots: where the sources lie now, by name; default: where they lay when the plan was made.
    """
    file, meta = open_plan(str(plan_path), stamp(plan_path))
    if not 0 <= number < len(meta["shards"]):
        raise UserError(f"{plan_path} has {len(meta['shards'])} shards, number {number} was asked for")
    roots = {**meta["roots"], **(roots or {})}
    _, split, _, digest = meta["shards"][number]
    with reading(plan_path, "plan again"):
        table = file.read_row_group(number)
        found = rows_digest(table)
        rows = table.to_pylist()
    if found != digest:
        raise DamageError(
            f"{plan_path}: the rows of shard {number} are not those that were planned; restore the file or plan again"
        )
    return [_sample(row, split, meta["generation"], roots) for row in rows]


def _sample(row: dict, split: str, generation: int, roots: Mapping[str, str]) -> PlannedSample:
    source = row["source"]
    parts = tuple(
        Part(
            recording=f"{source}/{p['path']}",
            uri=join_uri(roots[source], p["path"]),
            sha256=p["sha256"].hex(),
            **{k: p[k] for k in ("sample_rate", "channels", "start_frame", "num_frames", "active_mask")},
        )
        for p in row["parts"]
    )
    return PlannedSample(**{**row, "parts": parts}, split=split, generation=generation)


def make_plan(
    manifest: Manifest,
    catalog_path: str | Path,
    plan_path: str | Path,
    generation: int = 0,
    earlier: Sequence[tuple[str | Path, str | Path]] = (),
) -> PlanSummary:
    """Catalog + manifest -> plan file (atomically). ``earlier`` are the (catalog, plan) files of the generations before;
    shards are numbered on from theirs. ``PlanSummary.text()`` is what the commands print; ``.to_dict()`` is JSON."""
    from pipelines.plan_make import make

    return make(manifest, catalog_path, plan_path, generation, earlier)
