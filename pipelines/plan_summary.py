"""What a plan holds, in numbers: printed before anything is rendered."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field


@dataclass
class PlanSummary:
    """Counts of one plan. ``splits``: split -> {samples, hours, shards, groups}; ``rejected``: reason -> count."""

    generation: int = 0
    splits: dict[str, dict] = field(default_factory=dict)
    sources: dict[str, dict] = field(default_factory=dict)
    rejected: dict[str, int] = field(default_factory=dict)
    estimate: dict[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict:
        return asdict(self)
