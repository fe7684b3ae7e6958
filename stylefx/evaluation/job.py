"""What a protocol is given: the model, the corpus, the choice of items and of baselines."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from stylefx import keyed
from stylefx.corpus.reader import Corpus, SampleRef
from stylefx.errors import UserError
from stylefx.evaluation.floor import floor_in_words
from stylefx.evaluation.pairs import Pair, batches, choose, held_out
from stylefx.evaluation.systems.base import ModelSystem, System, SystemOutput, Untouched
from stylefx.evaluation.systems.outside import OutsideOutputs
from stylefx.evaluation.systems.refined import RefinedModel
from stylefx.files.processes.cores import cores
from stylefx.foreign import OWN
from stylefx.nearest import did_you_mean

T = TypeVar("T")
R = TypeVar("R")

#: names on the command line -> what it takes; ``input`` is always there
BASELINES = {
    "input": "the input as it is",
    "rule-based": "RB-DSP: spectrum matching and a compressor",
    "mean": "the mean settings of the training split",
    "nearest": "the settings of the nearest training sample, by embedding",
    "spectrum-fit": "the chain's own bands, fitted to the difference of the average spectra",
    "ridge": "ridge regression from band averages to an equaliser, trained across content",
    "oracle": "settings optimised per item with the true target",
}
DEFAULT_BASELINES = ("input", "rule-based")


@dataclass
class EvaluationJob:
    """One evaluation. ``items`` limits the number of samples, ``sources`` says of which; ``setup`` is what reports quote about
    the run.

    ``oracle_items`` limits those that the oracle solves, ``engine`` makes the truth of transfers across content, ``outside``
    names folders with the outputs of other programs. ``refine_steps`` > 0 adds the model refined by as many steps,
    ``preset`` draws what p5 looks for.
    """

    model: ModelSystem
    corpus: Corpus
    split: str = "test"
    sources: Sequence[str] = ()
    items: int | None = None
    baselines: Sequence[str] = DEFAULT_BASELINES
    seed: int = 0
    batch: int = 8
    pesq: bool = False
    oracle_steps: int = 100
    training_items: int = 500
    oracle_items: int | None = None
    engine: str = OWN
    outside: Mapping[str, Path] = field(default_factory=dict)
    preset: str | None = None
    refine_steps: int = 0
    refine_to: str | None = None
    checkpoint: Path | None = None
    setup: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        unknown = [name for name in self.baselines if name not in BASELINES]
        if unknown:
            raise UserError(f"there is no baseline {unknown[0]!r}; known: {', '.join(BASELINES)}")

        known = {ref.source for ref in self.corpus.samples(self.split)} if self.sources else set()
        for name in self.sources:
            if name not in known:
                near = did_you_mean(name, known, f"it has {', '.join(sorted(known))}")
                raise UserError(f"the split {self.split!r} has no source {name!r}{near}")

    def samples(self) -> list[SampleRef]:
        """The split's samples, of the ``sources`` alone where some are named."""
        return [ref for ref in self.corpus.samples(self.split) if not self.sources or ref.source in self.sources]

    @cached_property
    def refs(self) -> list[SampleRef]:
        return held_out(self.samples(), self.split, self.items)

    @cached_property
    def pool(self) -> ThreadPoolExecutor:
        """Threads for what releases the interpreter's lock: transforms, filters, compiled effects."""
        return ThreadPoolExecutor(max_workers=min(8, cores()))

    def map(self, function: Callable[[T], R], items: Iterable[T]) -> list[R]:
        """In parallel, in the order of the items."""
        return list(self.pool.map(function, items))

    def batches(self) -> Iterator[list[Pair]]:
        return batches(self.corpus, self.refs, self.batch)

    @cached_property
    def systems(self) -> list[System]:
        """Input first, then the chosen baselines in the order of ``BASELINES``, what others made, the model, and it refined."""
        baselines = [self._baseline(name) for name in BASELINES if name == "input" or name in self.baselines]
        models = self.model.by_intent()
        refined = [RefinedModel(m, self.refine_steps, self.refine_to) for m in models] if self.refine_steps else []
        return [*baselines, *(OutsideOutputs(name, folder) for name, folder in self.outside.items()), *models, *refined]

    def outcomes(self, pairs: Sequence[Pair], oracle_keys: Collection[str] | None = None) -> list[dict[str, SystemOutput]]:
        """What every system makes of every pair; the oracle of those in ``oracle_keys`` only (None: of all)."""
        found: list[dict[str, SystemOutput]] = [{} for _ in pairs]
        for system in self.systems:
            limit = oracle_keys if system.name == "oracle" else None
            index = [i for i, pair in enumerate(pairs) if limit is None or pair.key in limit]
            if index:
                for i, outcome in zip(index, system([pairs[i] for i in index]), strict=True):
                    found[i][system.name] = outcome
        return found

    def _baseline(self, name: str) -> System:
        if name == "input":
            return Untouched()
        if name == "rule-based":
            from stylefx.evaluation.systems.rule_based import RuleBased

            return RuleBased(self.map)
        if name == "oracle":
            from stylefx.evaluation.systems.oracle import Oracle

            return Oracle(self.model, self.oracle_steps)
        if name == "spectrum-fit":
            from stylefx.evaluation.systems.spectrum_fit import SpectrumFit

            return SpectrumFit(self.model.chain, self.map)
        if name == "ridge":
            from stylefx.evaluation.systems.ridge import Ridge

            return Ridge.from_corpus(self.model.chain, self.corpus, self.training_items, self.seed, self.map)
        from stylefx.evaluation.training_settings import MeanSettings, NearestSettings

        source = MeanSettings.from_corpus if name == "mean" else NearestSettings.from_corpus
        return source(self.model, self.corpus, self.training_items)

    def oracle_keys(self, refs: Sequence[SampleRef]) -> set[str] | None:
        """The keys of the samples that the oracle solves; None for all."""
        return None if self.oracle_items is None else {ref.key for ref in choose(refs, self.oracle_items)}

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
            "sources": list(self.sources) or None,
            "items": len(refs),
            "groups": len({ref.group for ref in refs}),
            "seconds_each": round(self.corpus.half_frames / self.corpus.sample_rate, 2),
            "sample_rate": self.corpus.sample_rate,
            "channels": self.corpus.channels,
            "refine_steps": self.refine_steps or None,
            "refine_to": self.refine_to,
            "engine": None if self.engine == OWN else self.engine,
            "audio_format": floor_in_words(self.corpus, self.split),
            "corpus_digest": keyed.hex_digest(digests, size=8),
        }

    def close(self) -> None:
        if "pool" in self.__dict__:
            self.pool.shutdown()
