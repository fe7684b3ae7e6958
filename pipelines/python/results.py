"""What a build and a plan give back in Python: numbers to go on with, and how a notebook shows them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pipelines.builder.job import BuildSummary
from pipelines.corpus.view import CorpusView
from pipelines.plan.summary import PlanSummary
from stylefx.corpus.opened import OpenedCorpus, open_corpus
from stylefx.files.address import safe_uri
from stylefx.files.notebook import block, preformatted, table
from stylefx.progress import duration


@dataclass(frozen=True)
class BuiltCorpus:
    """A finished corpus. ``path`` is its folder or URL, ``summary`` what this call did."""

    path: str
    summary: BuildSummary

    @property
    def counts(self) -> dict[str, int]:
        """Samples by outcome: ok, filtered, failed, quarantined."""
        return dict(self.summary.tally.counts)

    @property
    def samples(self) -> int:
        return self.counts["ok"]

    @cached_property
    def rejected(self) -> dict[str, int]:
        """What was never planned, by reason."""
        return {reason: count for reason, (count, _) in CorpusView(self.path).rejected().items() if count}

    def open(self) -> OpenedCorpus:
        """To iterate over it and read its tables, as ``stylefx.open_corpus`` gives it."""
        return open_corpus(self.path)

    def __repr__(self) -> str:
        tally = self.summary.tally
        left_out = "".join(f", {n} {status}" for status, n in tally.counts.items() if n and status != "ok")
        done = f"{self.summary.rendered_shards} of {tally.shards} shards rendered now in {duration(self.summary.wall_s)}"
        return f"<corpus {safe_uri(self.path)}: {self.samples} samples{left_out}; {done}>"

    def _repr_html_(self) -> str:
        rows: list[tuple[Any, ...]] = [(status, n) for status, n in self.counts.items()]
        rows += [(f"not planned: {reason}", n) for reason, n in self.rejected.items()]
        return block(repr(self), table(("samples", "number"), rows)) + self.open()._repr_html_()


@dataclass(frozen=True)
class PlannedCorpus:
    """What would be built. ``path`` is where; ``summary`` counts splits, sources, rejects and the estimated work."""

    path: str
    summary: PlanSummary

    @property
    def samples(self) -> int:
        return self.summary.samples

    @property
    def hours(self) -> float:
        return self.summary.hours

    @property
    def splits(self) -> dict[str, dict[str, Any]]:
        return self.summary.splits

    @property
    def rejected(self) -> dict[str, int]:
        return {reason: count for reason, count in self.summary.rejected.items() if count}

    def __repr__(self) -> str:
        return f"<plan of {safe_uri(self.path)}: {self.samples} samples, {self.hours:.2f} h>\n{self.summary.text()}"

    def _repr_html_(self) -> str:
        head = ("split", "samples", "hours", "shards", "groups")
        rows = [(name, *(c[key] for key in head[1:])) for name, c in self.splits.items()]
        text = self.summary.text().splitlines()[-2:] if self.summary.estimate else self.summary.text().splitlines()[-1:]
        return block(f"plan of {safe_uri(self.path)}", table(head, rows), preformatted("\n".join(text)))
