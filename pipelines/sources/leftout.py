"""What a listing passes over without a row in the catalog: counted and named, so that nothing is lost in silence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from pipelines.sources.uris import is_archive, is_table

_SHOWN = 6


@dataclass
class LeftOut:
    """``endings``: source -> files by their ending that no audio file has; ``links``: (source, linked folder) not followed;
    ``alone``: source -> recordings that lie directly in it and are groups of their own; ``deselected``: source -> recordings
    that its ``select`` left out."""

    endings: dict[str, Counter[str]] = field(default_factory=dict)
    links: list[tuple[str, str]] = field(default_factory=list)
    alone: Counter[str] = field(default_factory=Counter)
    deselected: Counter[str] = field(default_factory=Counter)
    packed: dict[str, str] = field(default_factory=dict)  # source -> an archive or table that lies in it

    def ending(self, source: str, path: str) -> None:
        """Count a file that is no recording by its name."""
        suffix = PurePosixPath(path).suffix.lower().lstrip(".")
        self.endings.setdefault(source, Counter())[suffix or "without an ending"] += 1
        if is_archive(path) or is_table(path):
            self.packed.setdefault(source, PurePosixPath(path).suffix)

    def lines(self) -> Iterator[str]:
        """One sentence for each kind of thing and source, fit for a terminal."""
        for source, counts in self.endings.items():
            n, kinds = counts.total(), counts.most_common()
            named = ", ".join(f"{count:,} {ending}" for ending, count in kinds[:_SHOWN])
            more = f" and {len(kinds) - _SHOWN} more kinds" if len(kinds) > _SHOWN else ""
            hint = f"; for what archives hold, end the source's path in /*{self.packed[source]}" if source in self.packed else ""
            yield f"source {source}: {n:,} {_files(n)} with other endings: {named}{more}{hint}"
        by_source = Counter(source for source, _ in self.links)
        for source, n in by_source.items():
            first = next(name for owner, name in self.links if owner == source)
            yield (
                f"source {source}: {n:,} linked folder{'s' * (n > 1)} not followed, such as {first}: "
                "what it points to is in the source already"
            )
        for source, n in self.alone.items():
            lie = "lies directly in it and is a group of its own" if n == 1 else "lie directly in it, each a group of its own"
            yield f"source {source}: {n:,} {_files(n)} {lie}; write a group rule where several belong together"
        for source, n in self.deselected.items():
            yield f"source {source}: {n:,} {'recordings' if n > 1 else 'recording'} not selected by its select"


def _files(n: int) -> str:
    return "file" if n == 1 else "files"
