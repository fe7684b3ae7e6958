"""Sidecars, the commit markers of shards, read with suspicion: is a shard what the plan asks for, whole, of this manifest?"""

from __future__ import annotations

import builtins
import json
import re
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from pipelines.manifest.differences import Difference, sentence
from pipelines.plan.file import ShardInfo
from pipelines.storage.base import Storage
from stylefx.corpus.schema import STATUSES
from stylefx.errors import DamageError, UserError

SIDECAR_FORMAT = "stylefx-shard"


SIDECAR_VERSION = 1


_HEX = re.compile(r"[0-9a-f]{64}\Z")


_MAX_BYTES = 1 << 20


_COUNTS = ("number", "generation", "planned", "bytes", "parquet_bytes")


_CHECKSUMS = ("sha256", "parquet_sha256")


_TEXTS = ("name", "shard_digest", "manifest_digest", "environment_digest")


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
    floor: dict[str, Any] = field(default_factory=dict)

    @property
    def bad(self) -> int:
        return self.counts["failed"] + self.counts["quarantined"]


@dataclass(frozen=True)
class Sidecar:
    """What is written beside a shard when it is committed; in the file, ``format`` and ``version`` come first."""

    name: str
    number: int
    generation: int
    shard_digest: str
    plan_digest: str
    manifest_digest: str
    environment_digest: str
    environment: dict[str, str]
    planned: int
    counts: dict[str, int]
    bytes: int
    sha256: str
    parquet_bytes: int
    parquet_sha256: str
    seconds: dict[str, float]
    wall_s: float
    finished_s: int
    attempts: int
    node: str
    peak_memory_mb: float
    floor: dict[str, Any] = field(default_factory=dict)  # samples, floor, distance: what the format hides, see shards.floor

    def to_bytes(self) -> builtins.bytes:
        return json.dumps({"format": SIDECAR_FORMAT, "version": SIDECAR_VERSION, **asdict(self)}, indent=1).encode()

    @classmethod
    def from_bytes(cls, data: builtins.bytes, name: str) -> Sidecar:
        """DamageError names what is not as it was written; times, node and environment only inform and may be anything."""
        known = _parse(data, name)
        seconds = {k: float(v) for k, v in _table(known.get("seconds")).items() if isinstance(v, (int, float))}
        return cls(
            **{k: known[k] for k in (*_COUNTS, *_CHECKSUMS, *_TEXTS, "counts")},
            plan_digest=str(known.get("plan_digest", "")),
            environment={str(k): str(v) for k, v in _table(known.get("environment")).items()},
            seconds=seconds,
            wall_s=_number(known.get("wall_s")),
            finished_s=int(_number(known.get("finished_s"))),
            attempts=int(_number(known.get("attempts"), 1.0)),
            node=str(known.get("node", "")),
            peak_memory_mb=_number(known.get("peak_memory_mb")),
            floor=_floor(_table(known.get("floor"))),
        )

    def committed(self) -> Committed:
        """The part that is kept in memory for every shard of a corpus."""
        return Committed(**{f.name: getattr(self, f.name) for f in fields(Committed)})


def _number(value: Any, otherwise: float = 0.0) -> float:
    return float(value) if isinstance(value, (int, float)) and -1e15 < value < 1e15 else otherwise


def _floor(found: dict[Any, Any]) -> dict[str, Any]:
    """Empty for a shard from before floors were measured, or for what is none."""
    samples, distance = int(_number(found.get("samples"))), found.get("distance")
    if samples < 1:
        return {}
    return {"samples": samples, "floor": _number(found.get("floor")), "distance": None if distance is None else _number(distance)}


def _table(value: Any) -> dict[Any, Any]:
    return value if isinstance(value, dict) else {}


def _parse(data: bytes, name: str) -> dict[str, Any]:
    """The fields on which a build relies, complete and of the right kinds; DamageError names what is not."""
    try:
        if len(data) > _MAX_BYTES:
            raise ValueError
        sidecar = json.loads(data)
    except (ValueError, RecursionError):
        raise DamageError(f"{name}.json is not a sidecar (not JSON)") from None
    if not isinstance(sidecar, dict) or sidecar.get("format") != SIDECAR_FORMAT or sidecar.get("version") != SIDECAR_VERSION:
        raise DamageError(f"{name}.json is not a sidecar of format {SIDECAR_FORMAT} {SIDECAR_VERSION}")
    _check_fields(sidecar, name)
    return sidecar


def _check_fields(sidecar: dict[str, Any], name: str) -> None:
    for key in _COUNTS:
        if type(sidecar.get(key)) is not int or sidecar[key] < 0:
            raise DamageError(f"{name}.json: {key} is not a count")
    for key in _CHECKSUMS:
        if not isinstance(sidecar.get(key), str) or not _HEX.match(sidecar[key]):
            raise DamageError(f"{name}.json: {key} is not a sha256")
    counts = sidecar.get("counts")
    if not isinstance(counts, dict) or set(counts) != set(STATUSES) or any(type(n) is not int or n < 0 for n in counts.values()):
        raise DamageError(f"{name}.json: counts are incomplete")
    if sum(counts.values()) != sidecar["planned"]:
        raise DamageError(f"{name}.json: its counts do not sum to {sidecar['planned']}")
    for key in _TEXTS:
        if not isinstance(sidecar.get(key), str):
            raise DamageError(f"{name}.json: {key} is missing")


def check_sidecar(storage: Storage, shard: ShardInfo, manifest_digest: str, files: dict[str, int]) -> Committed:
    """DamageError: render this shard again (torn, cut, gone). UserError: it belongs to another manifest or plan."""
    try:
        sidecar = Sidecar.from_bytes(storage.read(f"{shard.name}.json"), shard.name)
    except FileNotFoundError:
        raise DamageError(f"{shard.name}.json went away") from None
    expected = {"name": shard.name, "shard_digest": shard.digest, "manifest_digest": manifest_digest, "planned": shard.samples}
    found = [Difference(k, getattr(sidecar, k), v) for k, v in expected.items() if getattr(sidecar, k) != v]
    if found:
        raise UserError(
            f"{shard.name} in {storage.where} was made by another manifest or plan: {sentence(found)}; "
            "restore them, or build into another folder with --out"
        )
    for suffix, wanted in ((".tar", sidecar.bytes), (".parquet", sidecar.parquet_bytes)):
        size = files.get(shard.name + suffix)
        if size != wanted:
            state = "is missing" if size is None else f"has {size} bytes"
            raise DamageError(f"{shard.name}{suffix} {state}, its sidecar says {wanted}")
    return sidecar.committed()
