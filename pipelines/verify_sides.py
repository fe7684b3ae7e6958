"""Proof that no group and no audio is in two splits, from the plans: by group name and by content hash of recordings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from pipelines.plan import PlannedSample, ShardInfo, read_shard
from pipelines.verify import Finding, Report

_SHOWN = 20


def check_sides(report: Report, plans: Sequence[tuple[Path, Sequence[ShardInfo]]]) -> None:
    """Add a finding for every group and every recording's content that is planned for two splits."""
    sides: dict[tuple[str, str], str] = {}
    clashes: dict[tuple[str, str], str] = {}
    for path, shards in plans:
        for shard in shards:
            for kind, value, key in _identities(read_shard(path, shard.number)):
                before = sides.setdefault((kind, value), shard.split)
                if before != shard.split:
                    clashes.setdefault((kind, value), f"{kind} {value!r} is in {before} and {shard.split} (sample {key})")
    report.groups = sum(kind == "group" for kind, _ in sides)
    report.contents = sum(kind == "audio" for kind, _ in sides)
    report.findings += [Finding("", "", text) for text in list(clashes.values())[:_SHOWN]]


def _identities(samples: Iterable[PlannedSample]) -> Iterable[tuple[str, str, str]]:
    for sample in samples:
        yield "group", sample.group, sample.key
        for part in sample.parts:
            if part.sha256:
                yield "audio", part.sha256, sample.key
