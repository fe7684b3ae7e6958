"""Which stretch becomes an item's reference: a pure function of (seed, epoch, key), whatever rank or worker reads it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from stylefx.corpus.reader import Corpus, SampleRef
from stylefx.errors import UserError
from stylefx.keyed import Draw
from stylefx.recipes.references import Partners, ReferenceRule

_POOLS_KEPT = 8


@dataclass(frozen=True)
class Item:
    """A sample and the roles of its halves: ``half`` is processed; the reference is ``member`` ("b", "r0") of ``lender``,
    which is other content where ``other`` says so."""

    corpus: Corpus
    ref: SampleRef
    epoch: int
    half: str
    lender: SampleRef
    member: str
    other: bool = False


@dataclass(frozen=True)
class Pool:
    """The samples that may lend a reference; ``identity`` tells pools of a corpus apart, ``listed`` lists one."""

    identity: Hashable
    listed: Callable[[], Sequence[SampleRef]]


class ReferenceDraws:
    """The reference of each sample. ``rule`` None: what is stored, KEY.r0, KEY.r1, ... or the other half; else the rule's draw
    among the samples of a pool.
    """

    def __init__(self, rule: ReferenceRule | None, seed: int):
        self.rule, self.seed = rule, seed
        self._pools: OrderedDict[tuple[Any, ...], tuple[Sequence[SampleRef], Partners]] = OrderedDict()

    def __reduce__(self) -> tuple[Any, ...]:
        return ReferenceDraws, (self.rule, self.seed)

    def item(self, corpus: Corpus, ref: SampleRef, epoch: int, halves: tuple[str, str], pool: Pool) -> Item:
        """``halves``: (the one to process, the other)."""
        half, other_half = halves
        identity = f"{epoch}/{ref.key}"
        if self.rule is None:
            stored = ref.references
            if not stored:
                return Item(corpus, ref, epoch, half, ref, other_half)
            number = Draw(self.seed, "train/stored reference", identity).integer(0, len(stored) - 1)
            return Item(corpus, ref, epoch, half, ref, stored[number], other=True)
        if not Draw(self.seed, "train/reference other", identity).chance(self.rule.other_share):
            return Item(corpus, ref, epoch, half, ref, other_half)
        draw = Draw(self.seed, "train/partner", identity)
        lender = self._lender(self.rule, corpus, ref, draw, pool)
        return Item(corpus, ref, epoch, half, lender, "a" if draw.chance(0.5) else "b", other=True)

    def _lender(self, rule: ReferenceRule, corpus: Corpus, ref: SampleRef, draw: Draw, pool: Pool) -> SampleRef:
        refs, partners = self._partners(rule, corpus, pool)
        found = partners.choose(draw, rule.kind(ref.source, ref.label), ref.group)
        if found is None:
            raise UserError(
                f"{ref.key} of {corpus.store} finds no reference of another group: of {len(refs)} samples none has the same "
                f"{rule.match} and another group than {ref.group!r}; enlarge data.window_shards, or match less "
                "(reference.match: any)"
            )
        return refs[found]

    def _partners(self, rule: ReferenceRule, corpus: Corpus, pool: Pool) -> tuple[Sequence[SampleRef], Partners]:
        key = (id(corpus), pool.identity)
        if key not in self._pools:
            refs = pool.listed()
            kinds, groups = [rule.kind(r.source, r.label) for r in refs], [r.group for r in refs]
            self._pools[key] = refs, Partners(kinds, groups)
            if len(self._pools) > _POOLS_KEPT:
                self._pools.popitem(last=False)
        self._pools.move_to_end(key)
        return self._pools[key]
