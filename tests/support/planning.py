"""Small manifests and catalogs for the planning tests: no audio, only what scanning would have measured."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from pipelines.catalog.file import CatalogWriter, measured_row, sources_digest
from pipelines.catalog.measure import Measures
from pipelines.manifest.model import Manifest
from pipelines.plan.file import plan_overview
from pipelines.plan.make import make_plan
from pipelines.plan.samples import PlannedSample, read_shard
from pipelines.plan.summary import PlanSummary
from pipelines.sources.listing import Found

LOUD = 160  # activity code of -20 dB


def manifest(**changes) -> Manifest:
    """Half a second per half at 8 kHz; every group in the training split unless the test says otherwise."""
    data = {
        "name": "t",
        "output": "out",
        "seed": 3,
        "sources": [{"name": "s", "path": "/nowhere"}],
        "segment": {"half_frames": 4000, "sample_rate": 8000},
        "split": {"fractions": {"train": 1.0, "val": 0.0, "test": 0.0}},
        "shard": {"samples": 16},
    }
    return Manifest.model_validate(data | changes)


def recording(path: str, seconds: float, *, rate: int = 8000, group: str = "g", source: str = "s", **more) -> dict:
    return {
        "path": path,
        "seconds": seconds,
        "rate": rate,
        "group": f"{source}/{group}" if group else "",
        "source": source,
    } | more


def collection(n: int, seconds: tuple[float, float], groups: int = 10, seed: int = 0, prefix: str = "f") -> list[dict]:
    rng = np.random.default_rng(seed)
    rates = rng.choice([8000, 11025, 16000, 44100], n)
    lengths = rng.uniform(*seconds, n)
    return [recording(f"{prefix}/{i:05d}.wav", lengths[i], rate=int(rates[i]), group=f"g{i % groups}") for i in range(n)]


def row(r: dict) -> dict:
    """A catalog row. Optional keys of a recording: activity (codes), content, error, label, near, metadata, lufs and other
    measures."""
    frames = int(r["seconds"] * r["rate"])
    window = max(1, round(0.05 * r["rate"]))
    codes = r.get("activity")
    if codes is None:
        codes = np.full(-(-frames // window), LOUD, np.uint8)
    found = Found(
        r["source"], r["path"], "", 1, 1, r["group"], r.get("label", ""), r.get("licence", "CC0-1.0"), r.get("attribution", ""),
        metadata=r.get("metadata", {}),
    )  # fmt: skip
    if r.get("error"):
        return measured_row(found, "", None, r["error"])
    content = hashlib.blake2b(r.get("content", f"{r['source']}/{r['path']}").encode(), digest_size=16).digest()
    values = {
        "lufs": -20.0,
        "peak_dbfs": -3.0,
        "dc": 0.0,
        "clipping_share": 0.0,
        "silence_share": 0.0,
        "correlation": float("nan"),
        "bandwidth_hz": r["rate"] / 2,
    }
    values |= {k: r[k] for k in values if k in r}
    measures = Measures(
        sample_rate=r["rate"], channels=1, frames=frames, content=content, active_mask=1, window_frames=window,
        activity=np.asarray(codes, np.uint8), **values,
    )  # fmt: skip
    return measured_row(found, hashlib.sha256(r["path"].encode()).hexdigest(), measures) | {"near": r.get("near", "")}


def write_catalog(path: Path, m: Manifest, recordings: list[dict]) -> Path:
    writer = CatalogWriter(path, sources_digest(m))
    for r in recordings:
        writer.add(row(r))
    writer.publish()
    return path


def plan(folder: Path, m: Manifest, recordings: list[dict], **more) -> tuple[PlanSummary, list[PlannedSample], Path]:
    """(summary, all samples in the order of the corpus, plan file)."""
    folder.mkdir(parents=True, exist_ok=True)
    catalog = write_catalog(folder / "catalog.parquet", m, recordings)
    target = folder / "plan.parquet"
    summary = make_plan(m, catalog, target, **more)
    return summary, samples_of(target), target


def samples_of(target: Path) -> list[PlannedSample]:
    return [s for shard in plan_overview(target) for s in read_shard(target, shard.number)]
