"""A small finished corpus in the format on disk, written from scratch: tars, parquet tables, index."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import scipy.signal
import soundfile as sf

from stylefx.corpus.schema import FORMAT, FORMAT_VERSION, STATUS_FILTERED, STATUS_OK


def speechlike(rng: np.random.Generator, frames: int, sample_rate: int, channels: int = 1) -> np.ndarray:
    """Harmonics under a syllable envelope with some noise, float32 (channels, frames), peak -12 dBFS."""
    t = np.arange(frames) / sample_rate
    pitch = rng.uniform(90, 220)
    tone = sum(np.sin(2 * np.pi * pitch * k * t + rng.uniform(0, 6)) / k for k in range(1, 30) if pitch * k < sample_rate / 2)
    envelope = np.clip(np.sin(2 * np.pi * rng.uniform(2, 4) * t + rng.uniform(0, 6)), 0.02, None) ** 2
    audio = np.stack([(tone + 0.3 * rng.standard_normal(frames)) * envelope for _ in range(channels)])
    return (0.251 * audio / np.abs(audio).max()).astype(np.float32)


def styled(audio: np.ndarray, rng: np.random.Generator, sample_rate: int) -> np.ndarray:
    """A random tilt: something that an equaliser can imitate."""
    out = scipy.signal.lfilter([1.0, rng.uniform(-0.9, 0.9)], [1.0], audio, axis=-1)
    return (0.251 * out / np.abs(out).max()).astype(np.float32)


def encode(audio: np.ndarray, sample_rate: int, extension: str) -> bytes:
    buffer = io.BytesIO()
    subtype = {"flac": "PCM_16", "wav": "FLOAT"}[extension]
    sf.write(buffer, audio.T, sample_rate, format=extension.upper(), subtype=subtype)
    return buffer.getvalue()


def write_shard(root: Path, name: str, samples: list[tuple[str, dict[str, bytes]]], filtered: int = 0, label=None) -> dict:
    """Write one tar and its table; returns the index entry. ``samples`` are (key, {member: bytes})."""
    split = name.split("/")[0]
    tar_path = root / f"{name}.tar"
    tar_path.parent.mkdir(parents=True, exist_ok=True)
    rows = []
    with tarfile.open(tar_path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for key, members in samples:
            offsets = {}
            for member, data in members.items():
                info = tarfile.TarInfo(f"{key}.{member}")
                info.size = len(data)
                offsets[member] = [tar.offset + 512, len(data)]
                tar.addfile(info, io.BytesIO(data))
            checks = json.dumps({member: zlib.crc32(data) for member, data in members.items()})
            rows.append({"key": key, "status": STATUS_OK, "members": json.dumps(offsets), "crc32": checks})
    for i in range(filtered):
        rows.insert(i, {"key": f"filtered-{i}", "status": STATUS_FILTERED, "members": "{}", "crc32": "{}"})
    for row in rows:
        row |= {"source": "made", "group": row["key"].rsplit("-", 1)[0], "label": label, "split": split}
    pq.write_table(pa.Table.from_pylist(rows), root / f"{name}.parquet")
    sha = {end: hashlib.sha256((root / f"{name}.{end}").read_bytes()).hexdigest() for end in ("tar", "parquet")}
    return {
        "name": name, "split": split, "generation": 0, "samples": len(samples), "planned": len(rows),
        "bytes": tar_path.stat().st_size, "sha256": sha["tar"], "parquet_sha256": sha["parquet"],
    }  # fmt: skip


def make_corpus(
    root: Path,
    shards: dict[str, list[int]],
    *,
    source: str = "made",
    half_frames: int = 4096,
    sample_rate: int = 24000,
    channels: int = 1,
    dry: bool = False,
    audio_format: str = "flac",
    seed: int = 0,
) -> Path:
    """``shards`` gives the samples per shard and split, {"train": [3, 2], "val": [2]}."""
    rng, entries, number = np.random.default_rng(seed), [], 0
    for split, sizes in shards.items():
        for i, size in enumerate(sizes):
            samples = []
            for _ in range(size):
                key = f"{source}-{hashlib.blake2b(f'{seed}/{number}'.encode(), digest_size=8).hexdigest()}-{number:05d}"
                number += 1
                samples.append((key, sample_members(rng, key, half_frames, sample_rate, channels, dry, audio_format)))
            entries.append(write_shard(root, f"{split}/{split}-{i:06d}", samples, filtered=i % 2))
    write_index(root, entries, half_frames, sample_rate, channels, dry)
    return root


def sample_members(rng, key, half_frames, sample_rate, channels, dry, extension) -> dict[str, bytes]:
    """Dry, input and target of both halves, and the JSON."""
    clean = speechlike(rng, 2 * half_frames, sample_rate, channels)
    branches = {"input": styled(clean, rng, sample_rate), "target": styled(clean, rng, sample_rate)}
    if dry:
        branches["dry"] = clean
    out = {}
    for half, part in (("a", slice(0, half_frames)), ("b", slice(half_frames, None))):
        for branch, audio in branches.items():
            out[f"{half}.{branch}.{extension}"] = encode(audio[:, part], sample_rate, extension)
    out["json"] = json.dumps({"format": 1, "key": key}).encode()
    return out


def write_index(root: Path, entries: list[dict], half_frames: int, sample_rate: int, channels: int, dry: bool = False) -> None:
    generations = sorted({e["generation"] for e in entries})
    index = {
        "format": FORMAT, "version": FORMAT_VERSION, "sample_rate": sample_rate, "channels": channels,
        "half_frames": half_frames, "audio_format": "flac16", "store": "both" if dry else "default",
        "generations": [{"number": g, "digest": f"digest-{g}"} for g in generations], "shards": entries, "counts": {},
    }  # fmt: skip
    (root / "index.json").write_text(json.dumps(index))
    manifest = {
        "name": "made", "seed": 11, "preset": "deepafx-st", "chains": None, "level": {"peak_dbfs": -12.0},
        "segment": {"sample_rate": sample_rate, "half_frames": half_frames, "channels": channels},
    }  # fmt: skip
    corpus = {"format": FORMAT, "version": FORMAT_VERSION, "manifest": manifest, "generations": []}
    (root / "corpus.json").write_text(json.dumps(corpus))
