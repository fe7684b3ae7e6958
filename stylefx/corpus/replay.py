"""Pairs in float: stored recipes rendered again from the dry halves, with the gains that were written down then.

What a fixed-point format hides in a quiet target is not there: the dry halves are at full level, the effects come after.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from stylefx.corpus.reader import Corpus, Floor, SampleRef
from stylefx.errors import UserError
from stylefx.recipes.equivalent import equivalent_settings
from stylefx.recipes.steps import apply_steps, replay

OWN_HALF = "b"  # what a stored reference of the same recording is


def read_replayed(corpus: Corpus, ref: SampleRef, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Like ``corpus.read`` for names such as "a.input", "b.target", "r0.target": float32 (channels, half_frames) each.

    A corpus of dry halves states no recipes; they are drawn again from its manifest, which gives the same ones.
    """
    document = Corpus.metadata(corpus, ref)
    whole: dict[str, np.ndarray] = {}
    out: dict[str, np.ndarray] = {}
    for name in names:
        half, branch = _place(ref, document, name)
        if branch == "dry":
            out[name] = corpus.read(ref, [name])[name]
        elif half not in ("a", "b"):
            out[name] = _reference(corpus, ref, document, half)
        else:
            if branch not in whole:
                whole[branch] = _branch(corpus, ref, document, branch)
            start = 0 if half == "a" else corpus.half_frames
            out[name] = whole[branch][:, start : start + corpus.half_frames]
    return out


class FloatCorpus(Corpus):
    """A corpus whose pairs are rendered in float as they are read; it has to store its dry halves."""

    def __init__(self, store: Any, index: dict[str, Any], generations: Iterable[int] | None = None):
        super().__init__(store, index, generations)
        if self.extras not in ("dry", "both"):
            raise UserError(f"{store} stores no dry halves to render its pairs from; build it with store: dry or both")

    @classmethod
    def of(cls, corpus: Corpus) -> FloatCorpus:
        return cls(corpus.store, corpus.index, corpus.generations)

    def read(self, ref: SampleRef, names: Sequence[str], start: int = 0, frames: int = -1) -> dict[str, np.ndarray]:
        if all(name.endswith(".dry") for name in names):
            return super().read(ref, names, start, frames)
        end = None if frames < 0 else start + frames
        return {name: audio[:, start:end] for name, audio in read_replayed(self, ref, names).items()}

    def metadata(self, ref: SampleRef) -> dict[str, Any]:
        """The sample's JSON; where it states no recipe, with the steps that its pairs are rendered by."""
        document = super().metadata(ref)
        if "target" in document:
            return document
        dry = _dry_halves(self, ref, document)
        drawn = self.recipe(ref)
        document |= {branch: apply_steps(dry, drawn[branch], self.sample_rate)[1] for branch in ("input", "target")}
        settings = equivalent_settings(document) if drawn.get("equivalent") else None
        return document if settings is None else document | {"equivalent": settings}

    def floor(self, split: str) -> Floor | None:
        """Nothing is hidden."""
        return None


def _place(ref: SampleRef, document: dict[str, Any], name: str) -> tuple[str, str]:
    """("b", "target") of "r0.target" where that reference is the sample's own other half."""
    half, branch = name.split(".")
    if half.startswith("r") and document["references"][int(half[1:])]["key"] == ref.key:
        half = OWN_HALF
    return half, branch


def _branch(corpus: Corpus, ref: SampleRef, document: dict[str, Any], branch: str) -> np.ndarray:
    """Both halves of a branch, one after the other."""
    dry = _dry_halves(corpus, ref, document)
    if branch in document:
        return replay(dry, document[branch], corpus.sample_rate)
    return apply_steps(dry, corpus.recipe(ref)[branch], corpus.sample_rate)[0]


def _dry_halves(corpus: Corpus, ref: SampleRef, document: dict[str, Any]) -> np.ndarray:
    """One after the other, at the level that the effects were given."""
    halves = Corpus.read(corpus, ref, ["a.dry", "b.dry"])
    return _unprotected(np.concatenate([halves["a.dry"], halves["b.dry"]], axis=1), document.get("dry", ()))


def _reference(corpus: Corpus, ref: SampleRef, document: dict[str, Any], name: str) -> np.ndarray:
    entry = document["references"][int(name[1:])]
    dry = _unprotected(corpus.read(ref, [f"{name}.dry"])[f"{name}.dry"], entry["dry"])
    if entry["steps"]:
        return replay(dry, entry["steps"], corpus.sample_rate)
    return apply_steps(dry, corpus.recipe(ref)["target"], corpus.sample_rate)[0]


def _unprotected(dry: np.ndarray, steps: Sequence[dict[str, Any]]) -> np.ndarray:
    """The dry audio at the level that the effects were given: a loud clip was scaled down to fit its format."""
    gain_db = sum(step["gain_db"] for step in steps)
    return dry * np.float32(10.0 ** (-gain_db / 20.0)) if gain_db else dry
