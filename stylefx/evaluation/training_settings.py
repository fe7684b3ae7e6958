"""Baselines that know the training split's settings but not the pair: their mean, and those of the nearest training sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stylefx.corpus.reader import Corpus, SampleRef
from stylefx.errors import UserError
from stylefx.evaluation.metrics.truth import drawn_settings
from stylefx.evaluation.pairs import Pair, batches, choose
from stylefx.evaluation.systems.base import ModelSystem, System, SystemOutput

TRAINING_SPLIT = "train"


@dataclass(frozen=True)
class TrainingSettings:
    """Training samples and the controls of the model's chain behind each, float64 (samples, num_controls)."""

    refs: list[SampleRef]
    controls: np.ndarray

    @classmethod
    def of(cls, model: ModelSystem, corpus: Corpus, items: int) -> TrainingSettings:
        """At most ``items`` samples of the training split whose settings the model's chain can express."""
        refs, controls = [], []
        for ref in choose(corpus.samples(TRAINING_SPLIT), items):
            settings = drawn_settings(corpus.metadata(ref), model.chain)
            if settings is not None:
                refs.append(ref)
                controls.append(model.chain.controls(settings))
        if not refs:
            raise UserError(
                "the baselines 'mean' and 'nearest' need training samples made with the model's own effects "
                f"({', '.join(e.name for e in model.chain.effects)}), and the corpus has none; leave them out"
            )
        return cls(refs, np.stack(controls))


class MeanSettings(System):
    """One setting for everything: the mean of the training split's controls."""

    name, title = "mean", "mean settings"

    def __init__(self, model: ModelSystem, controls: np.ndarray):
        self.chain = model.chain
        self.settings = model.chain.settings(controls.mean(axis=0))

    @classmethod
    def from_corpus(cls, model: ModelSystem, corpus: Corpus, items: int) -> MeanSettings:
        return cls(model, TrainingSettings.of(model, corpus, items).controls)

    def __call__(self, pairs: Sequence[Pair]) -> list[SystemOutput]:
        return [SystemOutput(self.chain.render(p.input, self.settings, p.sample_rate), self.settings) for p in pairs]


class NearestSettings(System):
    """The settings of the training sample whose (input, reference) embeddings are nearest by cosine."""

    name, title = "nearest", "nearest settings"

    def __init__(self, model: ModelSystem, embeddings: np.ndarray, controls: np.ndarray):
        self.model, self.embeddings, self.controls = model, embeddings, controls

    @classmethod
    def from_corpus(cls, model: ModelSystem, corpus: Corpus, items: int) -> NearestSettings:
        known = TrainingSettings.of(model, corpus, items)
        rows = [_embed(model, pairs) for pairs in batches(corpus, known.refs, 8)]
        return cls(model, np.concatenate(rows), known.controls)

    def __call__(self, pairs: Sequence[Pair]) -> list[SystemOutput]:
        nearest = np.argmax(_embed(self.model, pairs) @ self.embeddings.T, axis=1)
        out = []
        for pair, row in zip(pairs, nearest, strict=True):
            settings = self.model.chain.settings(self.controls[row])
            out.append(SystemOutput(self.model.chain.render(pair.input, settings, pair.sample_rate), settings))
        return out


def _embed(model: ModelSystem, pairs: Sequence[Pair]) -> np.ndarray:
    """Embeddings of input and reference, each of unit length, side by side: (pairs, 2 D)."""
    sides = [model.embed([getattr(p, side) for p in pairs], pairs[0].sample_rate) for side in ("input", "reference")]
    return np.concatenate([e / np.maximum(np.linalg.norm(e, axis=1, keepdims=True), 1e-12) for e in sides], axis=1)
