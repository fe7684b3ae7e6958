"""What is evaluated: of each held-out sample one half is processed; the style reference is the other half of the target, or the
first stored reference of other content.

x_a -> y_a with y_b as the reference, or the other way round; the sample's key decides, so that the same sample is the same
test on any machine, in any order and in any subset.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stylefx import keyed
from stylefx.corpus.reader import Corpus, SampleRef
from stylefx.errors import UserError

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Pair:
    """One test. Audio is float32 (channels, samples) at ``sample_rate`` Hz; ``half`` names the processed half."""

    key: str
    source: str
    group: str
    half: str
    sample_rate: int
    input: np.ndarray
    reference: np.ndarray
    target: np.ndarray
    label: str = ""


def processed_half(key: str) -> str:
    """The half "a" or "b", each for half of all keys."""
    return "a" if keyed.unit("evaluation half", key) < 0.5 else "b"


def other_half(half: str) -> str:
    return "b" if half == "a" else "a"


def choose(refs: Sequence[SampleRef], items: int | None) -> list[SampleRef]:
    """At most ``items`` samples, those with the smallest hash of the key, in the order of the keys.

    A larger number contains the smaller choice; what the corpus' order is does not matter.
    """
    if items is not None and items < 1:
        raise UserError(f"the number of items is {items}; give at least 1")
    chosen = sorted(refs, key=lambda ref: keyed.integer("evaluation item", ref.key))[:items]
    return sorted(chosen, key=lambda ref: ref.key)


def held_out(samples: Sequence[SampleRef], split: str, items: int | None = None) -> list[SampleRef]:
    """The chosen of a split's samples; UserError when there is none."""
    refs = choose(samples, items)
    if not refs:
        raise UserError(f"the split {split!r} of the corpus has no usable sample; choose another with --split")
    return refs


def read_pair(corpus: Corpus, ref: SampleRef) -> Pair:
    half = processed_half(ref.key)
    lender = ref.references[0] if ref.references else other_half(half)
    names = [f"{half}.input", f"{lender}.target", f"{half}.target"]
    audio = corpus.read(ref, names)
    of_input, of_reference, of_target = (audio[name] for name in names)
    label = ref.label or ""
    return Pair(ref.key, ref.source, ref.group, half, corpus.sample_rate, of_input, of_reference, of_target, label)


def batches(corpus: Corpus, refs: Iterable[SampleRef], size: int) -> Iterator[list[Pair]]:
    """Pairs in lists of at most ``size``, so that a split of any length passes through a bounded memory."""
    batch: list[Pair] = []
    for ref in refs:
        batch.append(read_pair(corpus, ref))
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
