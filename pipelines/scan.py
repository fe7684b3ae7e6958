"""Sources -> catalog: every recording is decoded once; what was found is one row of a parquet file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipelines.manifest import Manifest


@dataclass(frozen=True)
class ScanSummary:
    """``reused`` rows were taken from an earlier catalog; ``errors`` maps a reason to its count."""

    recordings: int
    reused: int
    hours: float
    errors: dict[str, int]


def scan(
    manifest: Manifest,
    catalog_path: str | Path,
    previous: str | Path | None = None,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> ScanSummary:
    """Write the catalog (atomically). ``progress(done, total)`` is called now and then."""
    raise NotImplementedError
