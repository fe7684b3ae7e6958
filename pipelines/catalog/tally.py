"""What a scan found, in numbers and in sentences: every recording that is left out or damaged has its line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from stylefx.errors import IncompleteError

_SHOWN = 10


@dataclass(frozen=True)
class ScanSummary:
    """``reused`` rows were taken from an earlier catalog; ``errors`` maps a reason to its count. ``left_out``: (recording, why),
    all of them; ``damaged``: (recording, what is wrong), used all the same; ``notes``: what the listing passed over, a sentence
    each; ``clusters``: how many recordings share their audio with others, and how many clusters they form."""

    recordings: int
    reused: int
    hours: float
    errors: dict[str, int]
    left_out: list[tuple[str, str]] = field(default_factory=list)
    damaged: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    clusters: tuple[int, int] = (0, 0)


def report_lines(summary: ScanSummary, everything: bool = False, rest: str = "") -> Iterator[str]:
    """What was passed over, left out and damaged, a line each: the first ten of a kind, or everything. ``rest``: where the others
    stand."""
    yield from summary.notes
    for what, found in (("left out", summary.left_out), ("damaged, used as far as it goes", summary.damaged)):
        shown = found if everything else found[:_SHOWN]
        for name, why in shown:
            yield f"  {name}: {why if what == 'left out' else f'{what}: {why}'}"
        if len(found) > len(shown):
            yield f"  and {len(found) - len(shown):,} more {what.partition(',')[0]}{rest}"
    recordings, clusters = summary.clusters
    if recordings:
        yield f"{recordings:,} recordings hold the audio of another; they form {clusters:,} clusters (near_duplicates)"


@dataclass
class ScanTally:
    """What was counted of the rows so far."""

    count: int = 0
    reused: int = 0
    hours: float = 0.0
    errors: Counter[str] = field(default_factory=Counter)
    left_out: list[tuple[str, str]] = field(default_factory=list)
    damaged: list[tuple[str, str]] = field(default_factory=list)

    def add(self, row: dict[str, Any], reused: bool) -> None:
        name = f"{row['source']}/{row['path']}"
        self.count, self.reused = self.count + 1, self.reused + reused
        self.hours += row["frames"] / row["sample_rate"] / 3600 if row["sample_rate"] else 0.0
        if row["error"]:
            self.errors[error_kind(row["error"])] += 1
            self.left_out.append((name, row["error"]))
        if row["damage"]:
            self.damaged.append((name, row["damage"]))

    def summary(self, notes: list[str], clusters: tuple[int, int] = (0, 0)) -> ScanSummary:
        found = (self.left_out, self.damaged, notes, clusters)
        return ScanSummary(self.count, self.reused, self.hours, dict(self.errors), *found)

    def check(self, most: float) -> None:
        unreadable = self.errors.total()
        if unreadable > most * self.count:
            raise IncompleteError(
                f"{unreadable} of {self.count} recordings cannot be read ({_counts(self.errors)}), more than "
                f"limits.max_unreadable_share = {most:g} allows; repair or exclude them, or raise the limit; "
                f"such as {self.left_out[0][0]}: {self.left_out[0][1]}"
            )


def _counts(errors: Counter[str]) -> str:
    return ", ".join(f"{n} {reason}" for reason, n in errors.most_common())


def error_kind(error: str) -> str:
    """The reason without what differs from file to file: ``unreadable: ...`` -> ``unreadable``."""
    return error.split(":", 1)[0]
