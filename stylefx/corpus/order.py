"""The order in which training sees the samples: pure functions of (seed, epoch), no IO, no hidden state.

One corpus is an endless sequence of epochs; within an epoch the shards are permuted and the samples are shuffled inside
windows of consecutive shards, so that a reader touches few shards at a time. Several corpora are interleaved in blocks
with fixed quotas, the slots of a block shuffled. The order knows nothing of ranks: position p of the sequence goes to
rank (p // micro_batch) % world, so every world size reads the same sequence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from stylefx.errors import UserError
from stylefx.keyed import Draw

BLOCK = 1024


@dataclass(frozen=True)
class SamplePlace:
    """Where a position's sample lies: corpus number, that corpus' epoch, shard number and row among the shard's samples."""

    corpus: int
    epoch: int
    shard: int
    row: int


@lru_cache(maxsize=64)
def permutation(n: int, seed: int, purpose: str, identity: str) -> np.ndarray:
    """A keyed permutation of 0..n-1, int64 (n,): the stable argsort of n keyed words."""
    order = np.argsort(Draw(seed, purpose, identity).words(n), kind="stable") if n > 1 else np.zeros(n, np.int64)
    order.setflags(write=False)
    return order


class CorpusOrder:
    """The order of one corpus. ``sizes`` are the samples per shard, ``window`` the shards that are shuffled together."""

    def __init__(self, sizes: Sequence[int], seed: int, window: int):
        self.sizes = np.asarray(sizes, dtype=np.int64)
        self.total = int(self.sizes.sum())
        self.seed, self.window = int(seed), int(window)
        self._epoch: tuple[int, np.ndarray, np.ndarray] | None = None

    def _shards(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """The epoch's shards in order, and the position at which each window starts (the last entry is the total)."""
        known = self._epoch  # another thread may put another epoch's there meanwhile
        if known is None or known[0] != epoch:
            shards = permutation(len(self.sizes), self.seed, "order/shards", str(epoch))
            ends = np.concatenate([[0], np.cumsum(self.sizes[shards])])
            starts = np.append(ends[: -1 : self.window], self.total)
            known = self._epoch = (epoch, shards, starts)
        return known[1], known[2]

    def window_of(self, position: int) -> tuple[int, int]:
        """(epoch, window number) of a position."""
        epoch, rest = divmod(position, self.total)
        return epoch, int(np.searchsorted(self._shards(epoch)[1], rest, side="right")) - 1

    def window_shards(self, epoch: int, window: int) -> np.ndarray:
        """The shard numbers of one window; empty beyond the epoch's last."""
        return self._shards(epoch)[0][window * self.window : (window + 1) * self.window]

    def next_window(self, epoch: int, window: int) -> tuple[int, int]:
        """The window that follows, in the next epoch after the last."""
        return (epoch, window + 1) if (window + 1) * self.window < len(self.sizes) else (epoch + 1, 0)

    def locate(self, position: int) -> tuple[int, int, int]:
        """Position in the endless sequence -> (epoch, shard, row)."""
        epoch, window = self.window_of(position)
        shards = self.window_shards(epoch, window)
        start = int(self._shards(epoch)[1][window])
        ends = np.cumsum(self.sizes[shards])
        shuffled = permutation(int(ends[-1]), self.seed, "order/window", f"{epoch}/{window}")
        index = int(shuffled[position % self.total - start])
        at = int(np.searchsorted(ends, index, side="right"))
        return epoch, int(shards[at]), index - int(ends[at] - self.sizes[shards[at]])


def quotas(weights: Sequence[float], block: int = BLOCK) -> np.ndarray:
    """Slots per corpus in a block, int64, by largest remainder; every positive weight gets at least one slot."""
    shares = np.asarray(weights, dtype=np.float64)
    if len(shares) > block or not np.isfinite(shares).all() or (shares <= 0).any():
        raise UserError(f"the corpora's weights are {shares.tolist()}; give positive numbers")
    exact = shares / shares.sum() * block
    counts: np.ndarray = np.maximum(np.floor(exact).astype(np.int64), 1)
    for i in np.argsort(counts - exact, kind="stable"):
        if counts.sum() >= block:
            break
        counts[i] += 1
    while counts.sum() > block:
        counts[np.argmax(counts)] -= 1
    return counts


class Mixture:
    """Several corpora as one endless sequence of positions.

    Block b of ``block`` positions holds the next ``quota`` samples of each corpus, its slots in a keyed order; each corpus
    keeps its own epochs.
    """

    def __init__(self, orders: Sequence[CorpusOrder], weights: Sequence[float], seed: int, block: int = BLOCK):
        for i, order in enumerate(orders):
            if order.total == 0:
                raise UserError(f"corpus number {i} has no samples in this split; take it out or build it larger")
        self.orders, self.seed, self.block = list(orders), seed, block
        self.quotas = quotas(weights, block)
        self._owner: np.ndarray = np.repeat(np.arange(len(self.orders)), self.quotas)

    @property
    def total(self) -> int:
        """Positions that count as one epoch of the mixture: as many as there are samples."""
        return sum(o.total for o in self.orders)

    def split(self, position: int) -> tuple[int, int]:
        """Position of the mixture -> (corpus, position within that corpus' own sequence)."""
        if len(self.orders) == 1:
            return 0, position
        corpus = int(self._slots(position // self.block)[position % self.block])
        return corpus, self.local_position(corpus, position)

    def _slots(self, block: int) -> np.ndarray:
        """The corpus of every position of a block."""
        slots: np.ndarray = self._owner[permutation(self.block, self.seed, "order/mix", str(block))]
        return slots

    def local_position(self, corpus: int, position: int) -> int:
        """How many samples of a corpus come before a position of the mixture."""
        if len(self.orders) == 1:
            return position
        block, slot = divmod(position, self.block)
        return block * int(self.quotas[corpus]) + int((self._slots(block)[:slot] == corpus).sum())

    def locate(self, position: int) -> SamplePlace:
        corpus, local = self.split(position)
        return SamplePlace(corpus, *self.orders[corpus].locate(local))


def micro_batch(step: int, part: int, rank: int, world: int, size: int, accumulation: int) -> range:
    """Positions of one rank's micro-batch number ``part`` of a step.

    The step reads the global batch of world x size x accumulation consecutive positions; position p goes to rank
    (p // size) % world.
    """
    start = step * world * size * accumulation + (part * world + rank) * size
    return range(start, start + size)
