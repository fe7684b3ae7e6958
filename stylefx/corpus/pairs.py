"""From an item to its audio: stored pairs, pairs rendered in float from dry halves and stored recipes, or freshly drawn ones.

Each kind is a callable (item, start, frames) -> ({name: float32 (channels, frames)}, marks), safe from several threads.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from stylefx.corpus.batch import Marks
from stylefx.corpus.partners import Item
from stylefx.corpus.reader import Corpus
from stylefx.corpus.replay import read_replayed

Audio = dict[str, np.ndarray]
PAIR = ("input", "target", "reference")
DRY = ("dry", "dry_reference")


class Pairs(Protocol):
    """``names`` are the arrays that an item has."""

    @property
    def names(self) -> tuple[str, ...]: ...

    def __call__(self, item: Item, start: int = 0, frames: int = -1) -> tuple[Audio, Marks]: ...


class Renderer(Protocol):
    """Draws settings for an item and renders it: the half to be processed and the reference's stretch, both dry."""

    def __call__(
        self, key: str, epoch: int, dry: np.ndarray, dry_reference: np.ndarray, other: bool, label: str = ""
    ) -> tuple[Audio, Marks]: ...


class StoredPairs:
    """Input, target and reference as they lie in the corpus."""

    names = PAIR

    def __call__(self, item: Item, start: int = 0, frames: int = -1) -> tuple[Audio, Marks]:
        wanted = _wanted(item)
        audio = item.corpus.read(item.ref, list(wanted.values()), start, frames)
        return {name: audio[member] for name, member in wanted.items()}, _marks(item)


class ReplayedPairs:
    """The stored recipes rendered again from the dry halves: what the corpus would hold had it been stored in float."""

    names = PAIR

    def __call__(self, item: Item, start: int = 0, frames: int = -1) -> tuple[Audio, Marks]:
        wanted = _wanted(item)
        audio = read_replayed(item.corpus, item.ref, list(wanted.values()))
        end = None if frames < 0 else start + frames
        return {name: audio[member][:, start:end] for name, member in wanted.items()}, _marks(item)


class DryPairs:
    """The dry halves of an item, and what a renderer makes of them; ``renderers`` one per corpus."""

    names = (*PAIR, *DRY)

    def __init__(self, renderers: Mapping[Corpus, Renderer]):
        self.renderers = renderers

    def __call__(self, item: Item, start: int = 0, frames: int = -1) -> tuple[Audio, Marks]:
        names = [f"{item.half}.dry", f"{item.member}.dry"]
        if item.lender is item.ref:
            audio = item.corpus.read(item.ref, names, start, frames)
            dry, reference = (audio[name] for name in names)
        else:
            dry = item.corpus.read(item.ref, names[:1], start, frames)[names[0]]
            reference = item.corpus.read(item.lender, names[1:], start, frames)[names[1]]
        renderer = self.renderers[item.corpus]
        rendered, marks = renderer(item.ref.key, item.epoch, dry, reference, item.other, item.ref.label or "")
        return rendered | {"dry": dry, "dry_reference": reference}, marks


def _wanted(item: Item) -> dict[str, str]:
    return {"input": f"{item.half}.input", "target": f"{item.half}.target", "reference": f"{item.member}.target"}


def _marks(item: Item) -> Marks:
    return Marks(item.ref.label or "", item.other, item.ref.nothing_to_do)
