"""Rendering a random share of samples again from their recipes, and comparing at the level of sameness that holds.

Within one environment the bytes must be equal; across environments at most 1 LSB may differ, for 99.99 % of samples. The
recorded loudness is compared with what another program, pyloudnorm, measures in the stored audio.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import soundfile

from pipelines.corpus.sidecar import Sidecar
from pipelines.manifest.model import Manifest
from pipelines.plan.file import ShardInfo
from pipelines.plan.samples import PlannedSample, read_shard
from pipelines.render.sample import render_sample
from pipelines.sources.listing import source_root
from pipelines.storage.base import Storage
from pipelines.verify.report import Finding, VerifyReport
from pipelines.verify.shards import read_rows
from pipelines.workers.environment import environment
from stylefx import keyed
from stylefx.audio.loudness import pyloudnorm_lufs
from stylefx.corpus.schema import STATUS_OK
from stylefx.errors import DamageError, StylefxError

SAME_BYTES = "bytes (same environment)"


SAME_TO_1_LSB = "1 LSB for 99.99 % of the samples (another environment)"


_SHARE_WITHIN = 0.9999


LOUDNESS_WITHIN_LU = 0.3  # what pyloudnorm's own filters are from the standard's at most, at 16 kHz and above
_NEAR_GATE_LUFS = -60.0  # below, the rounding of the stored samples decides which blocks the absolute gate lets through
_FILTERS = {"bs1770": "DeMan", "pyloudnorm": "K-weighting"}  # in pyloudnorm, the filters of our meters


def verify_deep(
    storage: Storage,
    manifest: Manifest,
    plans: Sequence[tuple[Path, Sequence[ShardInfo]]],
    share: float,
    seed: int,
    report: VerifyReport,
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
                sidecar = Sidecar.from_bytes(storage.read(f"{shard.name}.json"), shard.name)
                rows = {row["key"]: row for row in read_rows(storage.read(f"{shard.name}.parquet"))}
            except (DamageError, FileNotFoundError):
                continue  # reported by the shallow check
            exact = environment(manifest.rendered_with).items() <= sidecar.environment.items()
            for sample in samples:
                row = rows.get(sample.key)
                if row is None or row["status"] != STATUS_OK:
                    continue
                stored = {s: storage.read(f"{shard.name}.tar", o, o + n) for s, (o, n) in row["members"].items()}
                what = _compare_sample(manifest, sample, stored, exact) or compare_loudness(manifest, stored, report)
                levels.add(SAME_BYTES if exact else SAME_TO_1_LSB)
                report.rendered_again += 1
                if what:
                    report.findings.append(Finding(shard.name, sample.key, what))
                if progress:
                    progress(report.rendered_again)
    report.level = " and ".join(sorted(levels))


def _compare_sample(manifest: Manifest, sample: PlannedSample, stored: dict[str, bytes], exact: bool) -> str:
    """What differs, or "". ``stored``: {"a.input.flac": bytes, ..., "json": bytes}."""
    try:
        again = render_sample(manifest, sample)
    except (StylefxError, ArithmeticError) as error:
        return f"cannot be rendered again: {error}"
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


def compare_loudness(manifest: Manifest, stored: dict[str, bytes], report: VerifyReport) -> str:
    """What of the recorded loudness pyloudnorm does not confirm, or ""; keeps the largest difference in the report."""
    rate = manifest.segment.sample_rate
    metrics = json.loads(stored["json"])["metrics"]
    for name in (n for n in metrics if n.endswith("_lufs") and metrics[n] is not None):
        if metrics[name] < _NEAR_GATE_LUFS:
            continue
        branch = name.removesuffix("_lufs")  # or a reference, "r0"
        halves = sorted(s for s in stored if s.split(".")[:2] in (["a", branch], ["b", branch], [branch, "target"]))
        audio = np.concatenate([soundfile.read(io.BytesIO(stored[s]), always_2d=True)[0].T for s in halves], axis=1)
        if manifest.meter == "bs1770":  # pyloudnorm counts an incomplete last block, the standard does not
            audio = audio[:, : audio.shape[1] * 10 // rate * rate // 10]
        found = pyloudnorm_lufs(audio, rate, _FILTERS[manifest.meter])
        if not abs(found - metrics[name]) <= LOUDNESS_WITHIN_LU:
            return f"its {name} is {metrics[name]:.2f}, pyloudnorm measures {found:.2f}"
        report.loudness_error_lu = max(report.loudness_error_lu, abs(found - metrics[name]))
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
