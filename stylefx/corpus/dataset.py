"""From positions to training items: which half is the reference, which stretch is read, and the reading itself.

Pure draws keyed by (seed, epoch, sample key): an item does not depend on the rank, the worker or the batch it lands in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from stylefx.corpus.order import CorpusOrder, Mixture
from stylefx.corpus.reader import Corpus, SampleRef
from stylefx.errors import UserError
from stylefx.keyed import Draw

#: item of an evaluation -> the half that holds it
STORED = {"input": "a.input", "target": "a.target", "reference": "b.target"}


@dataclass(frozen=True)
class Batch:
    """Training items. Audio is float32 (batch, channels, samples); ``valid`` is 0 where an item only pads the batch.

    ``dry`` and ``dry_reference`` come instead of input, target and reference when the settings are drawn during training:
    the half to be processed and the half that becomes the reference, both before any effect. ``starts`` (batch,) is where
    the stretch begins that is rendered and compared; the encoder hears the whole halves.
    """

    keys: list[str]
    epochs: list[int]
    valid: np.ndarray
    input: np.ndarray | None = None
    target: np.ndarray | None = None
    reference: np.ndarray | None = None
    dry: np.ndarray | None = None
    dry_reference: np.ndarray | None = None
    starts: np.ndarray | None = None


def choose_half(seed: int, epoch: int, key: str) -> tuple[str, str]:
    """(half to process, half whose target is the reference): a keyed coin."""
    return ("a", "b") if Draw(seed, "train/half", f"{epoch}/{key}").chance(0.5) else ("b", "a")


def choose_start(seed: int, epoch: int, key: str, frames: int, crop: int) -> int:
    """Where the stretch of ``crop`` samples begins in a half of ``frames``: a keyed position."""
    return Draw(seed, "train/crop", f"{epoch}/{key}").integer(0, max(frames - crop, 0))


class TrainingSet:
    """Positions of the endless training sequence -> items, over one or several corpora of the same rate and channels.

    ``crop`` is the length in samples of the stretch that is rendered and compared (None: whole halves). ``dry`` reads the
    dry halves.
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
        dry: bool = False,
    ):
        first = corpora[0]
        for other in corpora[1:]:
            if (other.sample_rate, other.channels) != (first.sample_rate, first.channels):
                raise UserError(
                    f"{other.store} has {other.sample_rate} Hz and {other.channels} channels, {first.store} has "
                    f"{first.sample_rate} Hz and {first.channels}; mix corpora of one rate and channel count"
                )
        self.corpora, self.seed, self.crop, self.dry = list(corpora), seed, crop, dry
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
        return ("dry", "dry_reference") if self.dry else ("input", "target", "reference")

    @property
    def channels(self) -> int:
        return self.corpora[0].channels

    def sample(self, position: int) -> tuple[Corpus, SampleRef, int]:
        """(corpus, sample, epoch) of a position."""
        place = self.order.locate(position)
        corpus = self.corpora[place.corpus]
        return corpus, corpus.table(self.shards[place.corpus][place.shard].name)[place.row], place.epoch

    def read(self, corpus: Corpus, ref: SampleRef, epoch: int) -> dict[str, Any]:
        """One item: {"input", "target", "reference"}, or {"dry", "dry_reference"}, each float32 (channels, half_frames)."""
        half, other = choose_half(self.seed, epoch, ref.key)
        if self.dry:
            halves = {"dry": f"{half}.dry", "dry_reference": f"{other}.dry"}
        else:
            halves = {"input": f"{half}.input", "target": f"{half}.target", "reference": f"{other}.target"}
        audio = corpus.read(ref, list(halves.values()), 0, self.half_frames)
        return {name: audio[member] for name, member in halves.items()}

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


class EvaluationSet:
    """A split in a fixed keyed order: half a is processed, b is the reference; the first ``limit`` samples.

    Where a corpus stores dry halves only, items hold those.
    """

    def __init__(self, corpora: Sequence[Corpus], split: str = "val", limit: int | None = None, crop: int | None = None):
        refs = [(c, ref) for c in corpora for ref in c.samples(split)]
        refs.sort(key=lambda item: Draw(0, "evaluation/order", item[1].key).unit())
        self.refs = refs[:limit]
        self.crop = crop
        self.dry = any(not any(m.startswith("a.input.") for m in ref.members) for _, ref in self.refs)

    def __len__(self) -> int:
        return len(self.refs)

    def read(self, index: int) -> dict[str, Any]:
        """Item ``index``; the centre of the half when cropped."""
        corpus, ref = self.refs[index]
        n = min(self.crop or corpus.half_frames, corpus.half_frames)
        wanted = {"dry": "a.dry", "dry_reference": "b.dry"} if self.dry else STORED
        halves = corpus.read(ref, list(wanted.values()), (corpus.half_frames - n) // 2, n)
        return {name: halves[half] for name, half in wanted.items()}
