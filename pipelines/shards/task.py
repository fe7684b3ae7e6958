"""All that a worker needs to make one shard."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ShardTask:
    """All that a worker needs to make one shard; small, and free of credentials."""

    out: str
    manifest: str  # JSON
    number: int
    name: str
    generation: int
    shard_digest: str
    plan_digest: str
    manifest_digest: str
    builder: str
    attempt: int = 0
    roots: tuple[tuple[str, str], ...] = ()  # where the sources lie: (name, absolute path or URL)
    skip: tuple[tuple[str, str], ...] = ()  # quarantined: (key, reason)
    sample_limit_s: float = 120.0
    memory_limit_mb: int = 0
