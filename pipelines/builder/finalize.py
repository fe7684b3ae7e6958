"""index.json, written only when every shard is committed: readers that find none refuse the corpus."""

from __future__ import annotations

import json
from typing import Any

from pipelines.builder.resume import SidecarReader, split_work
from pipelines.corpus.cards import write_cards
from pipelines.corpus.description import read_corpus
from pipelines.corpus.sidecar import Committed
from pipelines.corpus.view import CorpusView
from pipelines.manifest.model import Manifest
from pipelines.plan.file import ShardInfo
from pipelines.storage.base import Storage
from stylefx.corpus.schema import FORMAT, FORMAT_VERSION, INDEX_FILE, SPLITS, STATUSES
from stylefx.errors import IncompleteError


def make_index(
    manifest: Manifest, generations: list[dict[str, Any]], shards: list[ShardInfo], committed: dict[str, Committed]
) -> dict[str, Any]:
    """The index as plain data; a pure function of what was committed. IncompleteError: shards are missing, or all is empty."""
    missing = [s.name for s in shards if s.name not in committed]
    if missing:
        raise IncompleteError(
            f"{len(missing)} of {len(shards)} shards are not committed ({', '.join(missing[:3])}, ...); build them first"
        )
    counts = {split: dict.fromkeys(STATUSES, 0) for split in SPLITS}
    entries: list[dict[str, Any]] = []
    for shard in sorted(shards, key=lambda s: (SPLITS.index(s.split), s.name)):
        done = committed[shard.name]
        for status, n in done.counts.items():
            counts[shard.split][status] += n
        entries.append(
            {
                "name": shard.name,
                "split": shard.split,
                "generation": shard.generation,
                "samples": done.counts["ok"],
                "planned": done.planned,
                "bytes": done.bytes,
                "sha256": done.sha256,
                "parquet_bytes": done.parquet_bytes,
                "parquet_sha256": done.parquet_sha256,
            }
        )
    if not any(n["ok"] for n in counts.values()):
        raise IncompleteError(
            f"none of the {sum(e['planned'] for e in entries)} samples is usable, so there is no corpus; "
            "see why with `stylefx-pipe report`, change the manifest and build into another folder"
        )
    segment = manifest.segment
    return {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "name": manifest.name,
        "sample_rate": segment.sample_rate,
        "channels": segment.channels,
        "half_frames": segment.half_frames,
        "audio_format": manifest.audio_format,
        "store": manifest.store,
        "generations": [{"number": g["number"], "digest": g["plan_digest"]} for g in generations],
        "shards": entries,
        "counts": {split: n for split, n in counts.items() if any(n.values())},
        "floors": _floors(shards, committed),
    }


def _floors(shards: list[ShardInfo], committed: dict[str, Committed]) -> dict[str, dict[str, Any]]:
    """By split what the audio format hides: means over the measured samples; shards made before that have none."""
    out: dict[str, dict[str, Any]] = {}
    for split in SPLITS:
        found = [committed[s.name].floor for s in sorted(shards, key=lambda s: s.name) if s.split == split]
        found = [f for f in found if f]
        if found:
            samples = sum(f["samples"] for f in found)
            out[split] = {"samples": samples, "floor": _mean(found, "floor"), "distance": _mean(found, "distance")}
    return out


def _mean(found: list[dict[str, Any]], name: str) -> float | None:
    if any(f[name] is None for f in found):
        return None
    return float(f"{sum(f['samples'] * f[name] for f in found) / sum(f['samples'] for f in found):.5g}")


def finalize(storage: Storage, manifest: Manifest, shards: list[ShardInfo], known: dict[str, Committed]) -> dict[str, Any]:
    """Check every shard, publish index.json and the cards, and return the index.

    ``known`` are sidecars that this run has read or written itself; the others are read now.
    IncompleteError when shards are missing or damaged.
    """
    committed = {**known, **_read_rest(storage, manifest, [s for s in shards if s.name not in known])}
    corpus = read_corpus(storage)
    index = make_index(manifest, corpus["generations"] if corpus else [], shards, committed)
    data = json.dumps(index, indent=1).encode()
    try:
        unchanged = storage.read(INDEX_FILE) == data
    except FileNotFoundError:
        unchanged = False
    if not unchanged:
        storage.write(INDEX_FILE, data)
    view = CorpusView(storage.where)
    view.just_indexed(index)
    write_cards(view)
    return index


def _read_rest(storage: Storage, manifest: Manifest, shards: list[ShardInfo]) -> dict[str, Committed]:
    """Sidecars of shards that other builders made, or earlier generations."""
    if not shards:
        return {}
    files = storage.list()
    _, present = split_work(shards, files)
    reader = SidecarReader(storage, present, manifest.recipe_digest(), files)
    out: dict[str, Committed] = {}
    try:
        while not reader.finished:
            found = reader.poll(1.0)
            out |= {shard.name: shard for shard in found.committed}
            if found.damaged:
                raise IncompleteError(f"{found.damaged[0][1]}; run the build again, it renders such shards anew")
    finally:
        reader.close()
    return out
