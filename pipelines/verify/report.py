"""What a verification found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Finding:
    """One damage. ``sample`` is empty where it cannot be told."""

    shard: str
    sample: str
    what: str

    def __str__(self) -> str:
        return ": ".join(part for part in (self.shard, self.sample, self.what) if part)


@dataclass
class VerifyReport:
    """What verification saw. ``groups`` and ``contents``: counted things proven to be on one side only; ``loudness_error_lu``:
    the largest difference of recorded loudness and pyloudnorm's, of what was rendered again."""

    where: str = ""
    planned: int = 0
    shards: int = 0
    samples: int = 0
    bytes: int = 0
    missing: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    groups: int = 0
    contents: int = 0
    rendered_again: int = 0
    level: str = ""
    loudness_error_lu: float = 0.0

    def text(self) -> str:
        lines = [
            f"{self.where}: {self.shards} of {self.planned} shards, {self.samples} samples, {self.bytes / 1e9:.3f} GB checked"
        ]
        if self.missing:
            lines.append(f"not committed yet: {', '.join(self.missing[:5])}{' ...' if len(self.missing) > 5 else ''}")
        if not any(f.what.startswith(("group", "audio")) for f in self.findings):
            lines.append(f"no group (of {self.groups}) and no audio (of {self.contents} recordings) is in two splits")
        if self.rendered_again:
            lines.append(f"rendered again: {self.rendered_again} samples, compared at the level {self.level}")
            lines.append(f"their recorded loudness is within {self.loudness_error_lu:.3f} LU of what pyloudnorm measures")
        lines.append(f"{len(self.findings)} damages" if self.findings else "no damage")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        return {**self.__dict__, "findings": [f.__dict__ for f in self.findings]}

    def damaged_shards(self) -> list[str]:
        return sorted({f.shard for f in self.findings if f.shard})
