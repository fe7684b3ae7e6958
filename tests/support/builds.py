"""Small corpora for the tests of the builder: synthetic speakers, a manifest, a plan."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import soundfile

from pipelines.builder.job import BuildOptions, BuildSummary
from pipelines.builder.prepare import PrepareOptions, prepare
from pipelines.builder.progress import BuildProgress
from pipelines.builder.run import build
from pipelines.manifest.model import Manifest

RATE = 12000
HALF = 8192


def tone_bursts(seconds: float, rate: int, seed: int, channels: int = 1) -> np.ndarray:
    """Something like speech: harmonics under a slow random envelope, with noise; float32 (samples, channels)."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * rate)) / rate
    pitch = 90 + 110 * rng.random()
    voice = sum(np.sin(2 * np.pi * pitch * k * t + rng.random()) / k for k in range(1, 8))
    envelope = 0.4 + 0.6 * np.abs(np.interp(t, np.linspace(0, seconds, 12), rng.standard_normal(12)))
    audio = 0.1 * envelope * voice + 0.01 * rng.standard_normal(len(t))
    return np.repeat(audio[:, None], channels, axis=1).astype(np.float32)


def write_sources(folder: Path, speakers: int = 5, seconds: float = 9.0) -> Path:
    """``folder/speaker-N/*.wav|.flac|.ogg``; one long recording a speaker and some short clips."""
    for speaker in range(speakers):
        place = folder / f"speaker-{speaker}"
        place.mkdir(parents=True)
        kind = ("wav", "flac", "ogg")[speaker % 3]
        soundfile.write(place / f"long.{kind}", tone_bursts(seconds, RATE, speaker), RATE)
        for clip in range(4):
            soundfile.write(place / f"clip {clip}.wav", tone_bursts(1.3, 11025, 100 * speaker + clip), 11025)
    return folder


def manifest_for(folder: Path, out: Path | str, **changes) -> Manifest:
    data = {
        "name": "tiny",
        "output": str(out),
        "sources": [{"name": "voices", "path": str(folder), "group": {"parent": 1}, "licence": "CC0"}],
        "segment": {"half_frames": HALF, "sample_rate": RATE},
        "split": {"val": ["voices/speaker-1"], "test": ["voices/speaker-2"]},
        "shard": {"samples": 4},
    }
    return Manifest.model_validate(data | changes)


def run_build(manifest: Manifest, progress: BuildProgress | None = None, grow: bool = False, **options) -> BuildSummary:
    """Scan, plan and build, in child processes unless told otherwise."""
    prepared = prepare(manifest, manifest.output, PrepareOptions(grow=grow, workers=0))
    options = {"executor": "inline", "workers": 1} | options
    return build(
        manifest, manifest.output, prepared.shards, prepared.generation, prepared.earlier, BuildOptions(**options), progress
    )


def hashes(out: Path, pattern: str = "*/*.tar") -> dict[str, str]:
    """{name: sha256} of the corpus' tars."""
    return {str(p.relative_to(out)): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(Path(out).glob(pattern))}
