"""What a plan holds, in numbers: printed before anything is rendered."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from pipelines.catalog.filters import NO_GROUP


@dataclass
class PlanSummary:
    """Counts of one plan.

    ``splits``: split -> {samples, hours, shards, groups}; ``sources``: source -> {recordings, hours, samples};
    ``rejected``: reason -> count of recordings, but for "not needed": of samples beyond the hours wanted;
    ``examples``: reason -> a few of the recordings; ``estimate``: see ``plan_estimate``.
    """

    generation: int = 0
    splits: dict[str, dict[str, Any]] = field(default_factory=dict)
    sources: dict[str, dict[str, Any]] = field(default_factory=dict)
    rejected: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[str]] = field(default_factory=dict)
    estimate: dict[str, float] = field(default_factory=dict)

    @property
    def samples(self) -> int:
        return sum(counts["samples"] for counts in self.splits.values())

    @property
    def hours(self) -> float:
        return float(sum(counts["hours"] for counts in self.splits.values()))

    def no_group(self) -> str:
        """What is to be said of recordings that no group rule caught: how many, one of them, and the cure; empty for none."""
        count = self.rejected.get(NO_GROUP, 0)
        if not count:
            return ""
        source, _, path = self.examples.get(NO_GROUP, ["/"])[0].partition("/")
        return (
            f"{count:,} recordings have no group, such as {path} of source {source}: the source's group rule finds nothing "
            "in their paths or columns; change the rule, or give it a value for them (group: {..., otherwise: others})"
        )

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def text(self) -> str:
        """Some lines for people."""
        lines = [f"{'split':<8}{'samples':>12}{'hours':>12}{'shards':>10}{'groups':>10}"]
        for name, c in self.splits.items():
            lines.append(f"{name:<8}{c['samples']:>12,}{c['hours']:>12,.2f}{c['shards']:>10,}{c['groups']:>10,}")
        lines.append(f"{'source':<20}{'recordings':>12}{'hours':>12}{'samples':>12}")
        for name, c in self.sources.items():
            lines.append(f"{name[:19]:<20}{c['recordings']:>12,}{c['hours']:>12,.2f}{c['samples']:>12,}")
        rejected = ", ".join(f"{count:,} {reason}" for reason, count in self.rejected.items() if count)
        lines.append(f"left out: {rejected or 'nothing'}")
        if without := self.no_group():
            lines.append(without)
        if self.estimate:
            lines.append(
                f"estimated: {self.estimate['core_hours']:.3g} core-hours, {self.estimate['bytes'] / 2**30:.3g} GB "
                f"(from {self.estimate['calibration_samples']:.0f} rendered samples)"
            )
        return "\n".join(lines)
