"""Small planned corpora."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import soundfile

from pipelines.builder.prepare import PrepareOptions, prepare
from pipelines.manifest.model import Manifest
from pipelines.plan.file import ShardInfo
from pipelines.plan.samples import PlannedSample, read_shard
from pipelines.sources.listing import source_root
from stylefx.corpus.schema import plan_file
from tests.support.builds import RATE, manifest_for, tone_bursts


@dataclass(frozen=True)
class Plan:
    """A planned corpus without a shard: what the store holds before a build."""

    manifest: Manifest
    shards: tuple[ShardInfo, ...]
    samples: tuple[list[PlannedSample], ...]  # of each shard
    files: dict[str, bytes]


def make_plan(folder: Path, samples: int) -> Plan:
    """Of three short recordings; ``samples`` a shard."""
    sources = folder / "voices"
    for speaker in range(3):
        place = sources / f"speaker-{speaker}"
        if not place.is_dir():
            place.mkdir(parents=True)
            soundfile.write(place / "voice.wav", tone_bursts(5.0, RATE, speaker), RATE)
    out = folder / f"corpus-{samples}"
    limits = {"shard_seconds": 900.0, "max_failed_share": 0.5}
    manifest = manifest_for(sources, out, shard={"samples": samples}, limits=limits)
    prepared = prepare(manifest, str(out), PrepareOptions(workers=0))
    files = {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}
    plan = out / plan_file(0)
    roots = {source.name: source_root(source) for source in manifest.sources}
    listed = tuple(read_shard(plan, shard.number, roots) for shard in prepared.shards)
    return Plan(manifest, tuple(prepared.shards), listed, files)
