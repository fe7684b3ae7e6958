"""From positions to training items: which half is the reference, which stretch is read, and the reading itself.

Pure draws keyed by (seed, epoch, sample key): an item does not depend on the rank, the worker or the batch it lands in.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import Any

from stylefx.corpus.batch import Marks
from stylefx.corpus.order import CorpusOrder, Mixture
from stylefx.corpus.pairs import Audio, Pairs, StoredPairs
from stylefx.corpus.partners import Item, Pool, ReferenceDraws
from stylefx.corpus.reader import Corpus, SampleRef
from stylefx.corpus.tolerance import Findings, Tolerance, refuse_unsound
from stylefx.errors import DamageError, UserError
from stylefx.keyed import Draw
from stylefx.recipes.references import ReferenceRule


def choose_half(seed: int, epoch: int, key: str) -> tuple[str, str]:
    """(half to process, half whose target is the reference): a keyed coin."""
    return ("a", "b") if Draw(seed, "train/half", f"{epoch}/{key}").chance(0.5) else ("b", "a")


def choose_start(seed: int, epoch: int, key: str, frames: int, crop: int) -> int:
    """Where the stretch of ``crop`` samples begins in a half of ``frames``: a keyed position."""
    return Draw(seed, "train/crop", f"{epoch}/{key}").integer(0, max(frames - crop, 0))


_NEXT_TRIED = 256


class TrainingSet:
    """Positions of the endless training sequence -> items, over one or several corpora of the same rate and channels.

    ``crop`` is the length in samples of the stretch that is rendered and compared (None: whole halves). ``pairs`` reads an
    item's audio; ``reference`` is the rule by which references are drawn (None: what is stored).
    """

    def __init__(
        self,
        corpora: Sequence[Corpus],
        weights: Sequence[float] | None = None,
        *,
        seed: int = 0,
        split: str = "train",
        window: int = 8,
        crop: int | None = None,
        pairs: Pairs | None = None,
        reference: ReferenceRule | None = None,
    ):
        first = corpora[0]
        for other in corpora[1:]:
            if (other.sample_rate, other.channels) != (first.sample_rate, first.channels):
                raise UserError(
                    f"{other.store} has {other.sample_rate} Hz and {other.channels} channels, {first.store} has "
                    f"{first.sample_rate} Hz and {first.channels}; mix corpora of one rate and channel count"
                )
        self.corpora, self.seed, self.crop, self.pairs = list(corpora), seed, crop, pairs or StoredPairs()
        self.references = ReferenceDraws(reference, seed)
        self.shards = [c.shards_of(split) for c in corpora]
        orders = [CorpusOrder([s.samples for s in shards], seed, window) for shards in self.shards]
        if weights is None:
            weights = [max(o.total, 1) for o in orders]
        self.order = Mixture(orders, weights, seed)
        for corpus, shards in zip(self.corpora, self.shards, strict=True):
            limit = corpus.store.limit_bytes
            needed = 2 * window * max((s.bytes for s in shards), default=0)
            if limit is not None and needed > limit:
                raise UserError(
                    f"two windows of {window} shards of {corpus.store} are up to {needed / 1e9:.1f} GB, the cache holds "
                    f"{limit / 1e9:.1f} GB; enlarge data.cache_gb or lower data.window_shards"
                )
        # corpora of unequal halves share the shortest
        self.half_frames = min(c.half_frames for c in corpora)

    def describe(self) -> str:
        return f"{self.order.total} training samples"

    def place(self, position: int) -> tuple[int, int]:
        """(epoch, position within it) of a position of the endless sequence."""
        return divmod(position, self.order.total)

    @property
    def sample_rate(self) -> int:
        return self.corpora[0].sample_rate

    @property
    def frames(self) -> int:
        """Samples of the stretch that is rendered and compared."""
        return min(self.crop or self.half_frames, self.half_frames)

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of an item's arrays."""
        return self.pairs.names

    @property
    def channels(self) -> int:
        return self.corpora[0].channels

    def item(self, position: int) -> Item:
        """The sample of a position, the half of it that is processed, and its reference."""
        place = self.order.locate(position)
        corpus, shards = self.corpora[place.corpus], self.shards[place.corpus]
        ref = corpus.table(shards[place.shard].name)[place.row]
        halves = choose_half(self.seed, place.epoch, ref.key)
        return self.references.item(corpus, ref, place.epoch, halves, self._pool(place.corpus, position))

    def _pool(self, number: int, position: int) -> Pool:
        """The samples that lie in the same window of shards as the position."""
        order, corpus, shards = self.order.orders[number], self.corpora[number], self.shards[number]
        window = order.window_of(self.order.local_position(number, position))
        return Pool(window, lambda: [ref for i in order.window_shards(*window) for ref in corpus.table(shards[i].name)])

    def read(self, item: Item) -> tuple[Audio, Marks]:
        """The item's arrays, each float32 (channels, half_frames)."""
        return self.pairs(item, 0, self.half_frames)

    def read_sound(self, position: int, tolerance: Tolerance | Findings) -> tuple[Item, Audio, Marks]:
        """The item of a position, or where it is damaged and may be passed over, of the next position that is sound: the same
        one for every rank, and after a resume."""
        for place in range(position, position + _NEXT_TRIED):
            try:
                item = self.item(place)
                audio, marks = self.read(item)
                refuse_unsound(audio, item.ref.key, item.corpus.store, (self.channels, self.half_frames))
                return item, audio, marks
            except DamageError as error:
                damage = error
                tolerance.pass_over(self._name(place), error)
        raise damage

    def _name(self, position: int) -> str:
        """What a damaged sample is called; by its shard where the table is damaged too."""
        place = self.order.locate(position)
        shard = self.shards[place.corpus][place.shard].name
        try:
            return self.corpora[place.corpus].table(shard)[place.row].key
        except DamageError:
            return f"{shard} row {place.row}"

    def start(self, ref: SampleRef, epoch: int) -> int:
        """Where the item's stretch begins."""
        return choose_start(self.seed, epoch, ref.key, self.half_frames, self.frames)

    def prefetch(self, position: int) -> None:
        """Ask remote stores for the shards of the position's window and of the one after it."""
        for number, order in enumerate(self.order.orders):
            if self.corpora[number].store.limit_bytes is None:
                continue
            local = self.order.local_position(number, position)
            epoch, window = order.window_of(local)
            for e, w in ((epoch, window), order.next_window(epoch, window)):
                shards = [self.shards[number][i] for i in order.window_shards(e, w)]
                self.corpora[number].store.prefetch([f for s in shards for f in shard_files(s)])


def shard_files(shard: Any) -> list[tuple[str, str | None]]:
    """The two files that reading a shard needs, with their checksums."""
    return [(f"{shard.name}.parquet", shard.parquet_sha256), (f"{shard.name}.tar", shard.sha256)]


def held_out_samples(corpora: Sequence[Corpus], split: str, limit: int | None = None) -> list[tuple[int, SampleRef]]:
    """(number of the corpus, sample) of a split in the keyed order, the first ``limit``; reads every table of the split."""

    def place(entry: tuple[int, SampleRef]) -> float:
        return Draw(0, "evaluation/order", entry[1].key).unit()

    everything = ((number, ref) for number, corpus in enumerate(corpora) for ref in corpus.scan(split))
    return sorted(everything, key=place) if limit is None else heapq.nsmallest(limit, everything, key=place)


class EvaluationSet:
    """A split in a fixed keyed order: half a is processed, b is the reference (or what ``reference`` draws); the first
    ``limit`` samples. ``chosen``: these, where ``held_out_samples`` found them before."""

    def __init__(
        self,
        corpora: Sequence[Corpus],
        split: str = "val",
        limit: int | None = None,
        crop: int | None = None,
        pairs: Pairs | None = None,
        reference: ReferenceRule | None = None,
        chosen: Sequence[tuple[int, SampleRef]] | None = None,
    ):
        chosen = held_out_samples(corpora, split, limit) if chosen is None else chosen
        self.refs, self.split = [(corpora[number], ref) for number, ref in chosen], split
        self.crop, self.pairs = crop, pairs or StoredPairs()
        self.references = ReferenceDraws(reference, 0)

    def __len__(self) -> int:
        return len(self.refs)

    def item(self, index: int) -> Item:
        corpus, ref = self.refs[index]
        return self.references.item(corpus, ref, 0, ("a", "b"), Pool(self.split, lambda: corpus.samples(self.split)))

    def read(self, index: int) -> tuple[Audio, Marks]:
        """Item ``index``; the centre of the half when cropped."""
        item = self.item(index)
        n = min(self.crop or item.corpus.half_frames, item.corpus.half_frames)
        return self.pairs(item, (item.corpus.half_frames - n) // 2, n)

    def read_sound(self, index: int, tolerance: Tolerance) -> tuple[bool, Audio, Marks]:
        """Like ``read``; with False and another item's audio where this one is damaged and may be passed over."""
        damage: DamageError | None = None
        for number in range(index, index + min(len(self), _NEXT_TRIED)):
            corpus, ref = self.refs[number % len(self)]
            try:
                audio, marks = self.read(number % len(self))
                n = min(self.crop or corpus.half_frames, corpus.half_frames)
                refuse_unsound(audio, ref.key, corpus.store, (corpus.channels, n))
                return damage is None, audio, marks
            except DamageError as error:
                damage = error
                tolerance.pass_over(ref.key, error)
        assert damage is not None
        raise damage
