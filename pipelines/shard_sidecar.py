"""Reading sidecars with suspicion: whether a shard is what the plan asks for, whole, and made by this manifest."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from pipelines.build_corpus import Difference, sentence
from pipelines.plan import ShardInfo
from pipelines.shard import SIDECAR_FORMAT, SIDECAR_VERSION
from pipelines.storage import Storage
from stylefx.corpus.schema import STATUSES
from stylefx.errors import DamageError, UserError

_HEX = re.compile(r"[0-9a-f]{64}\Z")
_MAX_BYTES = 1 << 20


@dataclass(frozen=True)
class Committed:
    """What index.json, progress and status need of a sidecar."""

    name: str
    counts: dict[str, int]
    planned: int
    bytes: int
    sha256: str
    parquet_bytes: int
    parquet_sha256: str
    environment_digest: str
    wall_s: float
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def bad(self) -> int:
        return self.counts["failed"] + self.counts["quarantined"]


def parse_sidecar(data: bytes, name: str) -> dict[str, Any]:
    """The sidecar's fields, complete and of the right kinds; DamageError names what is not."""
    try:
        if len(data) > _MAX_BYTES:
            raise ValueError
        sidecar = json.loads(data)
    except (ValueError, RecursionError):
        raise DamageError(f"{name}.json is not a sidecar (not JSON)") from None
    if not isinstance(sidecar, dict) or sidecar.get("format") != SIDECAR_FORMAT or sidecar.get("version") != SIDECAR_VERSION:
        raise DamageError(f"{name}.json is not a sidecar of format {SIDECAR_FORMAT} {SIDECAR_VERSION}")
    for key in ("number", "generation", "planned", "bytes", "parquet_bytes"):
        if type(sidecar.get(key)) is not int or sidecar[key] < 0:
            raise DamageError(f"{name}.json: {key} is not a count")
    for key in ("sha256", "parquet_sha256"):
        if not isinstance(sidecar.get(key), str) or not _HEX.match(sidecar[key]):
            raise DamageError(f"{name}.json: {key} is not a sha256")
    counts = sidecar.get("counts")
    if not isinstance(counts, dict) or set(counts) != set(STATUSES) or any(type(n) is not int or n < 0 for n in counts.values()):
        raise DamageError(f"{name}.json: counts are incomplete")
    if sum(counts.values()) != sidecar["planned"]:
        raise DamageError(f"{name}.json: its counts do not sum to {sidecar['planned']}")
    for key in ("name", "shard_digest", "manifest_digest", "environment_digest"):
        if not isinstance(sidecar.get(key), str):
            raise DamageError(f"{name}.json: {key} is missing")
    return sidecar


def committed(sidecar: dict[str, Any]) -> Committed:
    """The part of a parsed sidecar that is kept in memory."""
    seconds = sidecar.get("seconds")
    clean = {k: float(v) for k, v in seconds.items() if isinstance(v, (int, float))} if isinstance(seconds, dict) else {}
    wall = sidecar.get("wall_s")
    return Committed(
        sidecar["name"],
        sidecar["counts"],
        sidecar["planned"],
        sidecar["bytes"],
        sidecar["sha256"],
        sidecar["parquet_bytes"],
        sidecar["parquet_sha256"],
        sidecar["environment_digest"],
        float(wall) if isinstance(wall, (int, float)) else 0.0,
        clean,
    )


def check_sidecar(storage: Storage, shard: ShardInfo, manifest_digest: str, files: dict[str, int]) -> Committed:
    """DamageError: render this shard again (torn, cut, gone). UserError: it belongs to another manifest or plan."""
    try:
        sidecar = parse_sidecar(storage.read(f"{shard.name}.json"), shard.name)
    except FileNotFoundError:
        raise DamageError(f"{shard.name}.json went away") from None
    expected = {"name": shard.name, "shard_digest": shard.digest, "manifest_digest": manifest_digest, "planned": shard.samples}
    found = [Difference(k, sidecar[k], v) for k, v in expected.items() if sidecar[k] != v]
    if found:
        raise UserError(
            f"{shard.name} in {storage.where} was made by another manifest or plan: {sentence(found)}; "
            "restore them, or build into another folder with --out"
        )
    for suffix, key in ((".tar", "bytes"), (".parquet", "parquet_bytes")):
        size = files.get(shard.name + suffix)
        if size != sidecar[key]:
            state = "is missing" if size is None else f"has {size} bytes"
            raise DamageError(f"{shard.name}{suffix} {state}, its sidecar says {sidecar[key]}")
    return committed(sidecar)
