"""The plan: which samples go into which shard. One parquet file, one row group per shard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.manifest import Manifest
from pipelines.plan_summary import PlanSummary


@dataclass(frozen=True)
class Part:
    """A stretch of one recording, in the recording's own frames.

    ``recording`` is the identity ``source/relative path``; ``sha256`` is of the file's bytes (hex).
    """

    recording: str
    uri: str
    sha256: str
    sample_rate: int
    channels: int
    start_frame: int
    num_frames: int


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
    """``number`` is the row group in the plan file, ``name`` the stem in the corpus (``train/train-000000``)."""

    number: int
    name: str
    split: str
    generation: int
    samples: int
    digest: str


def plan_overview(plan_path: str | Path) -> list[ShardInfo]:
    """All shards of a plan, in order, without reading a row."""
    raise NotImplementedError


def read_shard(plan_path: str | Path, number: int) -> list[PlannedSample]:
    """The samples of one shard, in the order in which they are written."""
    raise NotImplementedError


def make_plan(
    manifest: Manifest,
    catalog_path: str | Path,
    plan_path: str | Path,
    generation: int = 0,
    earlier: Sequence[tuple[str | Path, str | Path]] = (),
) -> PlanSummary:
    """Catalog + manifest -> plan file (atomically). ``earlier`` are the (catalog, plan) files of the generations before;
    shards are numbered on from theirs. ``PlanSummary.text()`` is what the commands print; ``.to_dict()`` is JSON."""
    raise NotImplementedError
