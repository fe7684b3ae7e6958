"""What a protocol is given: the model, the corpus, the choice of items and of baselines."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from stylefx import keyed
from stylefx.corpus.reader import Corpus, SampleRef
from stylefx.errors import UserError
from stylefx.evaluation.pairs import Pair, batches, choose, held_out
from stylefx.evaluation.systems import Model, System, Untouched

T = TypeVar("T")
R = TypeVar("R")

#: names on the command line -> what it takes; ``input`` is always there
BASELINES = {
    "input": "the input as it is",
    "rule-based": "RB-DSP: spectrum matching and a compressor",
    "mean": "the mean settings of the training split",
    "nearest": "the settings of the nearest training sample, by embedding",
    "oracle": "settings optimised per item with the true target",
}
DEFAULT_BASELINES = ("input", "rule-based")


@dataclass
class Job:
    """One evaluation. ``items`` limits the number of samples; ``setup`` is what reports quote about the run."""

    model: Model
    corpus: Corpus
    split: str = "test"
    items: int | None = None
    baselines: Sequence[str] = DEFAULT_BASELINES
    seed: int = 0
    batch: int = 8
    pesq: bool = False
    oracle_steps: int = 100
    training_items: int = 500
    checkpoint: Path | None = None
    setup: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        unknown = [name for name in self.baselines if name not in BASELINES]
        if unknown:
            raise UserError(f"there is no baseline {unknown[0]!r}; known: {', '.join(BASELINES)}")

    @cached_property
    def refs(self) -> list[SampleRef]:
        return held_out(self.corpus, self.split, self.items)

    @cached_property
    def pool(self) -> ThreadPoolExecutor:
        """Threads for what releases the interpreter's lock: transforms, filters, compiled effects."""
        return ThreadPoolExecutor(max_workers=min(8, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 4))

    def map(self, function: Callable[[T], R], items: Iterable[T]) -> list[R]:
        """In parallel, in the order of the items."""
        return list(self.pool.map(function, items))

    def batches(self) -> Iterator[list[Pair]]:
        return batches(self.corpus, self.refs, self.batch)

    @cached_property
    def systems(self) -> list[System]:
        """Input first, the model last, the chosen baselines between, in the order of ``BASELINES``."""
        return [*(self._baseline(name) for name in BASELINES if name == "input" or name in self.baselines), self.model]

    def _baseline(self, name: str) -> System:
        if name == "input":
            return Untouched()
        if name == "rule-based":
            from stylefx.evaluation.rule_based import RuleBased

            return RuleBased(self.map)
        if name == "oracle":
            from stylefx.evaluation.oracle import Oracle

            return Oracle(self.model, self.oracle_steps)
        from stylefx.evaluation.training_settings import MeanSettings, NearestSettings

        cls = {"mean": MeanSettings, "nearest": NearestSettings}[name]
        return cls.from_corpus(self.model, self.corpus, self.training_items)

    def some_refs(self, at_most: int) -> list[SampleRef]:
        """For protocols that cost more per item: ``items`` when it is given, else at most so many."""
        return self.refs if self.items is not None else choose(self.refs, at_most)

    def describe(self, refs: Sequence[SampleRef] | None = None) -> dict[str, Any]:
        """What a report says about its circumstances."""
        refs = self.refs if refs is None else refs
        digests = "/".join(self.corpus.generations.values())
        return {
            **self.setup,
            "split": self.split,
            "items": len(refs),
            "groups": len({ref.group for ref in refs}),
            "seconds_each": round(self.corpus.half_frames / self.corpus.sample_rate, 2),
            "sample_rate": self.corpus.sample_rate,
            "channels": self.corpus.channels,
            "corpus_digest": keyed.hex_digest(digests, size=8),
        }

    def close(self) -> None:
        if "pool" in self.__dict__:
            self.pool.shutdown()
