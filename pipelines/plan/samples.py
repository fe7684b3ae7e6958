"""The plan: which samples go into which shard. One parquet file, one row group per shard."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pipelines.catalog.file import reading
from pipelines.plan.file import open_plan, stamp
from pipelines.plan.rows import rows_digest
from pipelines.sources.uris import join_uri, split_stretch
from stylefx.errors import DamageError, UserError


@dataclass(frozen=True)
class RecordingPart:
    """A stretch of one recording, in the recording's own frames.

    ``recording`` is the identity ``source/relative path``; ``uri`` is for ``sources.listing.open_uri``; ``sha256`` is of
    the file's bytes (hex); bit c of ``active_mask`` says that channel c carries signal somewhere in the recording.
    ``origin_frame`` is where the recording begins in the file; ``target``, ``target_uri`` and ``target_sha256`` are
    those of the same recording after somebody's work.
    """

    recording: str
    uri: str
    sha256: str
    sample_rate: int
    channels: int
    start_frame: int
    num_frames: int
    active_mask: int = 0
    origin_frame: int = 0
    target: str = ""
    target_uri: str = ""
    target_sha256: str = ""

    def of_target(self) -> RecordingPart:
        """The same stretch after somebody's work; which of its channels carry signal is not known."""
        there = replace(self, recording=self.target, uri=self.target_uri, sha256=self.target_sha256, active_mask=0)
        return replace(there, target="", target_uri="", target_sha256="")


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
    parts: tuple[RecordingPart, ...]
    pitch_cents: float
    tempo: float
    read_frames: int
    references: tuple[PlannedReference, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_pair(self) -> bool:
        """Whether the target is what somebody made of the input, and not rendered."""
        return bool(self.parts) and all(part.target_uri for part in self.parts)


@dataclass(frozen=True)
class PlannedReference:
    """A reference of other content: a half of another sample, decoded and augmented as that sample is."""

    half: str
    sample: PlannedSample


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
        table = file.read_row_group(number, use_threads=False)  # a shard is small
        found = rows_digest(table)
        rows = table.to_pylist()
    if found != digest:
        raise DamageError(
            f"{plan_path}: the rows of shard {number} are not those that were planned; restore the file or plan again"
        )
    return [_sample(row, split, meta["generation"], roots) for row in rows]


def _sample(row: dict[str, Any], split: str, generation: int, roots: Mapping[str, str]) -> PlannedSample:
    source = row["source"]
    targets = row.pop("targets", None) or [""] * len(row["parts"])
    hashes = row.pop("target_sha256", None) or [bytes(32)] * len(row["parts"])
    parts = tuple(_part(source, *each, roots[source]) for each in zip(row["parts"], targets, hashes, strict=True))
    references = tuple(
        PlannedReference(r["half"], _sample({k: v for k, v in r.items() if k != "half"}, split, generation, roots))
        for r in row.get("references") or ()
    )
    metadata = json.loads(row.pop("metadata", None) or "{}")
    changed = {"parts": parts, "references": references, "metadata": metadata}
    return PlannedSample(**{**row, **changed}, split=split, generation=generation)


def _part(source: str, part: dict[str, Any], target: str, target_sha256: bytes, root: str) -> RecordingPart:
    uri, start_s, _ = split_stretch(join_uri(root, part["path"]))
    return RecordingPart(
        recording=f"{source}/{part['path']}",
        uri=uri,
        sha256=part["sha256"].hex(),
        origin_frame=round(start_s * part["sample_rate"]),
        target=f"{source}/{target}" if target else "",
        target_uri=join_uri(root, target) if target else "",
        target_sha256=target_sha256.hex() if any(target_sha256) else "",  # a plan of an earlier version has none
        **{k: part[k] for k in ("sample_rate", "channels", "start_frame", "num_frames", "active_mask")},
    )
