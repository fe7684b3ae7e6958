"""The plan: which samples go into which shard. One parquet file, one row group per shard."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.manifest import Manifest
from pipelines.plan_file import PLAN_FORMAT, read_meta
from pipelines.plan_summary import PlanSummary
from pipelines.source_files import join_uri
from stylefx.errors import UserError


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


@dataclass(frozen=True)
class ShardInfo:
    """``number`` is the row group in the plan file, ``name`` the stem in the corpus (``train/train-000000``).

    ``digest`` is of the shard's rows: of all that was planned for it, but not of where the sources lie.
    """

    number: int
    name: str
    split: str
    generation: int
    samples: int
    digest: str


def plan_meta(plan_path: str | Path) -> dict:
    """What the plan file says about itself: generation, manifest and recipe digests, summary, roots of the sources."""
    return _open(str(plan_path), _stamp(plan_path))[1]


def plan_overview(plan_path: str | Path) -> list[ShardInfo]:
    """All shards of a plan, in order, without reading a row."""
    meta = plan_meta(plan_path)
    return [
        ShardInfo(number, name, split, meta["generation"], samples, digest)
        for number, (name, split, samples, digest) in enumerate(meta["shards"])
    ]


def read_shard(plan_path: str | Path, number: int, roots: Mapping[str, str] | None = None) -> list[PlannedSample]:
    """The samples of one shard, in the order in which they are written.

    roots: where the sources lie now, by name; default: where they lay when the plan was made.
    """
    file, meta = _open(str(plan_path), _stamp(plan_path))
    if not 0 <= number < len(meta["shards"]):
        raise UserError(f"{plan_path} has {len(meta['shards'])} shards, number {number} was asked for")
    roots = {**meta["roots"], **(roots or {})}
    split = meta["shards"][number][1]
    return [_sample(row, split, meta["generation"], roots) for row in file.read_row_group(number).to_pylist()]


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


def _stamp(path: str | Path) -> tuple[int, int]:
    try:
        stat = os.stat(path)
    except OSError as error:
        raise UserError(f"cannot read the plan {path}: {error.strerror}; run `stylefx-pipe plan` first") from error
    return stat.st_size, stat.st_mtime_ns


@functools.lru_cache(maxsize=2)
def _open(path: str, stamp: tuple[int, int]) -> tuple[pq.ParquetFile, dict]:
    """The open file and its meta data; a footer of many shards is read once per process."""
    try:
        file = pq.ParquetFile(path)
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{path} is damaged or no plan ({error}); plan again") from error
    meta = read_meta(file)
    if meta.get("format") != PLAN_FORMAT or file.num_row_groups != len(meta.get("shards", ())):
        raise UserError(f"{path} is no plan of format {PLAN_FORMAT}; plan again")
    return file, meta


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
