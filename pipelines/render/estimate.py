"""What a build will cost: a few samples of the plan are rendered and measured."""

from __future__ import annotations

import json
import time
from pathlib import Path

from pipelines.manifest.model import Manifest
from pipelines.plan.file import plan_overview
from pipelines.plan.samples import PlannedSample, read_shard
from pipelines.render.recipe import draw_recipe

_SAMPLES = 6


_BUDGET_S = 20.0


_TAR_BLOCK = 512


def estimate(manifest: Manifest, plan_path: str | Path, samples: int = _SAMPLES) -> dict[str, float]:
    """{"core_hours", "bytes", "seconds_per_sample", "bytes_per_sample", "calibration_samples"}; empty for an empty plan.

    Samples come from shards spread over the plan. The first one warms up the compiled code and is not measured. Those that
    are filtered or fail count with their time.
    """
    shards = plan_overview(plan_path)
    total = sum(shard.samples for shard in shards)
    if not total:
        return {}
    picked = [shards[i * len(shards) // (samples + 1)].number for i in range(samples + 1)]
    sizes: list[int] = []
    started, measured, warm = time.monotonic(), 0, 0.0
    for i, number in enumerate(picked):
        planned = read_shard(plan_path, number)
        rendered = _render_size(manifest, planned[i % len(planned)])
        if i == 0:
            warm = time.monotonic() - started
            continue
        measured += 1
        if rendered is not None:
            sizes.append(rendered)
        if time.monotonic() - started > _BUDGET_S:
            break
    seconds = (time.monotonic() - started - warm) / max(1, measured)
    size = sum(sizes) / len(sizes) if sizes else 0.0
    return {
        "core_hours": seconds * total / 3600,
        "bytes": size * total,
        "seconds_per_sample": seconds,
        "bytes_per_sample": size,
        "calibration_samples": float(measured),
    }


def _render_size(manifest: Manifest, sample: PlannedSample) -> int | None:
    """Bytes of one sample in its shard, or None where it gives none."""
    from pipelines.render.sample import render_sample
    from stylefx.errors import StylefxError
    from stylefx.recipes.steps import Filtered

    try:
        rendered = render_sample(manifest, sample, draw_recipe(manifest, sample))
    except (Filtered, StylefxError):
        return None
    members = [len(data) for data in rendered.members.values()] + [len(json.dumps(rendered.document))]
    return sum(_TAR_BLOCK + -(-size // _TAR_BLOCK) * _TAR_BLOCK for size in members)
