"""Trying again what failed or was quarantined: the shards that hold such samples are rendered anew."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from pipelines.journal import quarantine_name
from pipelines.plan import ShardInfo
from pipelines.shard_sidecar import parse_sidecar
from pipelines.storage import Storage
from stylefx.errors import DamageError

_READERS = 8


def without_outcomes(storage: Storage, shards: Sequence[ShardInfo], outcomes: Sequence[str]) -> list[ShardInfo]:
    """The shards with samples of these outcomes. Their sidecars are removed, and with "quarantined" also what the
    quarantine remembers, so that from now on they count as not rendered."""

    def affected(shard: ShardInfo) -> bool:
        try:
            counts = parse_sidecar(storage.read(f"{shard.name}.json"), shard.name)["counts"]
        except (FileNotFoundError, DamageError):
            return False  # the resume deals with it
        return any(counts[outcome] for outcome in outcomes)

    with ThreadPoolExecutor(_READERS) as pool:
        again = [shard for shard, hit in zip(shards, pool.map(affected, shards), strict=True) if hit]
    for shard in again:
        storage.delete(f"{shard.name}.json")
        if "quarantined" in outcomes:
            storage.delete(quarantine_name(shard.name))
    return again
