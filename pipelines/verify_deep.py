"""Rendering a random share of samples again from their recipes, and comparing at the level of sameness that holds.

Within one environment the bytes must be equal; across environments at most 1 LSB may differ, for 99.99 % of samples.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import soundfile

from pipelines.environment import environment_digest
from pipelines.manifest import Manifest
from pipelines.plan import PlannedSample, ShardInfo, read_shard
from pipelines.render import render_sample
from pipelines.shard_sidecar import parse_sidecar
from pipelines.sources import source_root
from pipelines.storage import Storage
from pipelines.verify import Finding, Report, read_rows
from stylefx import keyed
from stylefx.corpus.schema import STATUS_OK
from stylefx.errors import DamageError, StylefxError

SAME_BYTES = "bytes (same environment)"
SAME_TO_1_LSB = "1 LSB for 99.99 % of the samples (another environment)"
_SHARE_WITHIN = 0.9999


def verify_deep(
    storage: Storage,
    manifest: Manifest,
    plans: Sequence[tuple[Path, Sequence[ShardInfo]]],
    share: float,
    seed: int,
    report: Report,
    progress: Callable[[int], None] | None = None,
) -> None:
    """Render ``share`` of the committed samples again (keyed choice by ``seed``); adds findings to the report."""
    levels = set()
    roots = {source.name: source_root(source) for source in manifest.sources}
    for path, shards in plans:
        for shard in shards:
            samples = [s for s in read_shard(path, shard.number, roots) if keyed.unit(seed, "verify-deep", s.key) < share]
            if not samples or not storage.exists(f"{shard.name}.json"):
                continue
            try:
                sidecar = parse_sidecar(storage.read(f"{shard.name}.json"), shard.name)
                rows = {row["key"]: row for row in read_rows(storage.read(f"{shard.name}.parquet"))}
            except (DamageError, FileNotFoundError):
                continue  # reported by the shallow check
            exact = sidecar["environment_digest"] == environment_digest(manifest.augment.used_engine)
            for sample in samples:
                row = rows.get(sample.key)
                if row is None or row["status"] != STATUS_OK:
                    continue
                what = _compare_sample(storage, manifest, shard, sample, row["members"], exact)
                levels.add(SAME_BYTES if exact else SAME_TO_1_LSB)
                report.rendered_again += 1
                if what:
                    report.findings.append(Finding(shard.name, sample.key, what))
                if progress:
                    progress(report.rendered_again)
    report.level = " and ".join(sorted(levels))


def _compare_sample(
    storage: Storage, manifest: Manifest, shard: ShardInfo, sample: PlannedSample, members: dict, exact: bool
) -> str:
    """What differs, or ""."""
    try:
        again = render_sample(manifest, sample)
    except (StylefxError, ArithmeticError) as error:
        return f"cannot be rendered again: {error}"
    stored = {s: storage.read(f"{shard.name}.tar", o, o + n) for s, (o, n) in members.items()}
    if set(stored) != {*again.members, "json"}:
        return f"holds {sorted(stored)}, its recipe gives {sorted(again.members)}"
    for suffix, data in again.members.items():
        if stored[suffix] == data:
            continue
        if exact:
            return f"{suffix} differs from what its recipe gives, in the same environment"
        what = within_one_step(stored[suffix], data)
        if what:
            return f"{suffix} {what}"
    if exact and json.loads(stored["json"]) != json.loads(json.dumps(again.document)):
        return "its JSON differs from what its recipe gives, in the same environment"
    return ""


def within_one_step(a: bytes, b: bytes) -> str:
    """ "" where two audio files agree to 1 LSB of 16 bits for 99.99 % of their samples, else the difference."""
    try:
        x, rate_x = soundfile.read(io.BytesIO(a), dtype="float64", always_2d=True)
        y, rate_y = soundfile.read(io.BytesIO(b), dtype="float64", always_2d=True)
    except soundfile.LibsndfileError as error:
        return f"cannot be decoded: {error}"
    if x.shape != y.shape or rate_x != rate_y:
        return f"has shape {x.shape} at {rate_x} Hz, its recipe gives {y.shape} at {rate_y} Hz"
    steps = np.abs(x - y) * 32768
    share = float(np.mean(steps <= 1.0 + 1e-6))
    if share < _SHARE_WITHIN:
        return f"differs by more than 1 LSB in {100 * (1 - share):.3f} % of its samples (at most {steps.max():.0f} LSB)"
    return ""
