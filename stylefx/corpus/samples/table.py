"""The table of a shard: one row per sample, and what else is known of shards and samples before any audio is read."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from stylefx.corpus.schema import EXTRA_COLUMNS, STATUS_OK
from stylefx.errors import DamageError

_CHECKSUMS = "crc32"
COLUMNS = ("key", "source", "group", "label", "status", "members", *EXTRA_COLUMNS, _CHECKSUMS)


@dataclass(frozen=True)
class SampleRef:
    """One sample: its place (``shard`` is the shard's name, ``row`` counts the shard's usable samples) and its labels."""

    key: str
    shard: str
    row: int
    label: str | None
    group: str
    source: str
    members: dict[str, tuple[int, int]]
    references: tuple[str, ...] = ()  # "r0", "r1", ...: stored references that are other content
    nothing_to_do: bool = False  # the input has the target's style already
    crc32: dict[str, int] = field(default_factory=dict)  # of the members' bytes; empty where the corpus has none


@dataclass(frozen=True)
class Floor:
    """What the audio format hides of a split: MR-STFT between the float render and what is stored, beside the distance of
    input and target (None where dry halves alone are stored), means over ``samples`` of them."""

    samples: int
    floor: float
    distance: float | None

    @property
    def share(self) -> float | None:
        """The floor over the input's distance."""
        return self.floor / self.distance if self.distance else None


@dataclass(frozen=True)
class Shard:
    """One shard as index.json lists it; ``samples`` counts the usable ones."""

    name: str
    split: str
    generation: int
    samples: int
    bytes: int
    sha256: str
    parquet_sha256: str


def read_rows(source: Path | io.BytesIO, wanted: Sequence[str], where: str) -> list[dict[str, Any]]:
    """The usable samples of a shard's table, of the wanted columns those that it has; DamageError where it is none."""
    try:
        table = pq.ParquetFile(source)
        present = table.schema_arrow.names
        rows = table.read(columns=[c for c in wanted if c in present]).to_pylist()
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise DamageError(f"{where} is not a shard's table ({error}); run stylefx-pipe verify") from error
    return [row for row in rows if row["status"] == STATUS_OK]


def sample_ref(row: dict[str, Any], shard: str, number: int) -> SampleRef:
    return SampleRef(
        row["key"],
        shard,
        number,
        row["label"],
        row["group"],
        row["source"],
        {name: (int(at), int(size)) for name, (at, size) in json.loads(row["members"]).items()},
        _other_references(row),
        bool(row.get("nothing_to_do")),
        json.loads(row.get(_CHECKSUMS) or "{}"),
    )


def _other_references(row: dict[str, Any]) -> tuple[str, ...]:
    """Names of the stored references that are of another group than the sample."""
    groups = json.loads(row.get("reference_groups") or "[]")
    return tuple(f"r{number}" for number, group in enumerate(groups) if group != row["group"])
