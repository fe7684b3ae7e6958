"""A corpus as ``torch.utils.data.IterableDataset``: right under DataLoader's workers and under ranks, and resumable.

The sequence is the one that ``stylefx train`` reads: a pure function of the seed. A batch of it belongs to one rank and one
worker, so no sample comes twice and none is lost; with ``batch_size`` here (and ``batch_size=None`` in the DataLoader) the
order is the same for any number of workers too.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch.utils.data import IterableDataset, get_worker_info

from stylefx.corpus.dataset import TrainingSet
from stylefx.corpus.pairs import Pairs, ReplayedPairs, StoredPairs
from stylefx.corpus.reader import open_corpus
from stylefx.corpus.tolerance import Tolerance
from stylefx.errors import UserError

_STATE = "stylefx-corpus-position"
_PASSES = 2**31
_PAIRS: dict[str, type] = {"stored": StoredPairs, "recipe": ReplayedPairs}


class CorpusDataset(IterableDataset[dict[str, Any]]):
    """Items (or batches, with ``batch_size``) of the training split of finished corpora, an epoch at a time.

    An item is {"input", "target", "reference": float32 (channels, half_frames), "key", "label": str}; a batch stacks
    the arrays and lists the rest. ``render``: "stored", or "recipe" to render stored recipes in float. ``pairs``: another way
    from item to audio.
    Every rank gets equally many; what does not divide is left out, in every epoch something else. ``rank``, ``world``: default
    those of torch.distributed, else RANK and WORLD_SIZE. ``max_damaged_share`` as in ``stylefx train``.

    ``state_dict`` and ``load_state_dict`` are what torchdata's StatefulDataLoader asks for; with the plain DataLoader give
    ``load_state_dict`` a state made by ``state_after(batches)``.
    """

    def __init__(
        self,
        corpora: str | Sequence[str],
        *,
        batch_size: int | None = None,
        seed: int = 0,
        weights: Sequence[float] | None = None,
        split: str = "train",
        window: int = 8,
        render: str = "stored",
        pairs: Pairs | None = None,
        rank: int | None = None,
        world: int | None = None,
        max_damaged_share: float = 0.0,
        cache: str | None = None,
        cache_bytes: int = 50 * 10**9,
    ):
        if render not in _PAIRS:
            raise UserError(f"render is {render!r}; give 'stored' or 'recipe', or pairs")
        self.paths = [corpora] if isinstance(corpora, str) else list(corpora)
        self.batch_size, self.seed, self.max_damaged_share = batch_size, seed, max_damaged_share
        self._set = {"weights": weights, "split": split, "window": window, "pairs": pairs or _PAIRS[render]()}
        self._cache = {"cache": cache, "cache_bytes": cache_bytes}
        self._place = (rank, world)
        self._opened: tuple[int, TrainingSet] | None = None
        self._epoch = torch.zeros(1, dtype=torch.int64).share_memory_()  # the next epoch, and by which pass (_pack)
        self._passes = 0  # how often this process was asked for an epoch
        self._now = 0  # the epoch that this process reads
        self._next = 0  # batches of this rank that were given in it
        self._worker: tuple[int, int] | None = None  # which of how many workers this process is
        self._resume: tuple[int, int, tuple[int, int] | None] | None = None  # epoch, next batch, of which worker

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_opened": None}

    def data(self) -> TrainingSet:
        """The sequence, opened once in every process: what reads remote corpora does not survive a fork."""
        if self._opened is None or self._opened[0] != os.getpid():
            opened = [open_corpus(path, **self._cache) for path in self.paths]  # type: ignore[arg-type]
            self._opened = os.getpid(), TrainingSet(opened, seed=self.seed, **self._set)  # type: ignore[arg-type]
        return self._opened[1]

    @property
    def place(self) -> tuple[int, int]:
        """(rank, world)."""
        rank, world = self._place
        if rank is None or world is None:
            if dist.is_available() and dist.is_initialized():
                return dist.get_rank(), dist.get_world_size()
            return int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
        return rank, world

    def __len__(self) -> int:
        """Items, or batches, of this rank in an epoch."""
        count = self.data().order.total // (self.place[1] * (self.batch_size or 1))
        if not count:
            raise UserError(
                f"{', '.join(self.paths)}: {self.data().order.total} samples are fewer than {self.place[1]} ranks x batches of "
                f"{self.batch_size or 1}; lower batch_size"
            )
        return count

    def set_epoch(self, epoch: int) -> None:
        """Which epoch comes next. Without it, one that was read to its end is followed by the next."""
        self._epoch[0], self._now = _pack(epoch), epoch
        self._next, self._resume = 0, None

    def __iter__(self) -> Iterator[dict[str, Any]]:
        self._passes += 1  # here and not in the generator: every worker is asked, also one whose first batch is never fetched
        return self._items(_pass_of_workers(self._passes))

    def _items(self, this: int) -> Iterator[dict[str, Any]]:
        info = get_worker_info()
        worker, workers = (0, 1) if info is None else (info.id, info.num_workers)
        if info is not None:
            _ignore_stops()
        self._worker = None if info is None else (worker, workers)
        self._now, first = self._first(worker, workers, this)
        data, count = self.data(), len(self)
        tolerance = Tolerance(self.max_damaged_share, data.order.total)
        for number in range(first, count, workers):
            found = self._read(data, tolerance, self._now * data.order.total, number)
            self._next = number + workers
            yield found
        self._epoch[0] = max(int(self._epoch[0]), _pack(self._now + 1, this))
        if info is None:
            self._now, self._next = self._now + 1, 0
        else:
            self._next = max(self._next, count)  # other workers may still read: this one has nothing left

    def _first(self, worker: int, workers: int, this: int) -> tuple[int, int]:
        """(epoch, first batch) of a worker: its own of the next epoch, or what a state says that was loaded."""
        resume, self._resume = self._resume, None
        current, ended_by = divmod(int(self._epoch[0]), _PASSES)
        if this and ended_by == this:  # a quicker worker of the same pass is already through
            current -= 1
        if resume is None:
            return current, worker
        epoch, following, owner = resume
        if owner is None:  # loaded before there were workers, whose later ones still see it
            return (epoch, following + worker) if epoch == current else (current, worker)
        if owner != (worker, workers):
            raise UserError(f"the state is of worker {owner[0]} of {owner[1]}; load it with as many workers")
        return epoch, following

    def _read(self, data: TrainingSet, tolerance: Tolerance, begin: int, number: int) -> dict[str, Any]:
        """Item or batch ``number`` of this rank in the epoch that begins at a position of the sequence."""
        rank, world = self.place
        size = self.batch_size or 1
        start = begin + (number * world + rank) * size
        data.prefetch(start)
        items = []
        for position in range(start, start + size):
            item, audio, marks = data.read_sound(position, tolerance)
            items.append(audio | {"key": item.ref.key, "label": marks.label})
        if self.batch_size is None:
            return items[0]
        return {
            name: np.stack([item[name] for item in items]) if name in data.fields else [item[name] for item in items]
            for name in items[0]
        }

    # -- StatefulDataLoader's protocol

    def state_dict(self) -> dict[str, Any]:
        """Where this process is; in a DataLoader's worker that of the worker."""
        return self.state_after(self._next, self._now) | {"worker": self._worker}

    def state_after(self, batches: int, epoch: int = 0) -> dict[str, Any]:
        """The state after ``batches`` (items, where there is no batch_size) of this rank in an epoch."""
        _, world = self.place
        samples = batches * world * (self.batch_size or 1)
        return {"format": _STATE, "epoch": epoch, "samples": samples, "seed": self.seed, "worker": None}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state; on another number of ranks or another batch size too, where its samples divide by them."""
        if state.get("format") != _STATE or state.get("seed") != self.seed:
            raise UserError(f"this is no state of a corpus read with seed {self.seed}: {state}")
        step = self.place[1] * (self.batch_size or 1)
        if state["samples"] % step:
            text = f"the state is after {state['samples']} samples"
            raise UserError(f"{text}, which {self.place[1]} ranks x batches of {self.batch_size or 1} do not divide")
        owner = None if state["worker"] is None else (int(state["worker"][0]), int(state["worker"][1]))
        self._now, self._next = int(state["epoch"]), state["samples"] // step
        self._resume = self._now, self._next, owner
        over = owner is not None and self._next >= len(self)  # then only a worker that has less to do is asked once more
        self._epoch[0] = max(int(self._epoch[0]), _pack(self._now + 1)) if over else _pack(self._now)


def _pack(epoch: int, ended_by: int = 0) -> int:
    """The next epoch and the pass that ended the one before it, in one number, so that no process sees half of a change."""
    return epoch * _PASSES + ended_by


def _pass_of_workers(count: int) -> int:
    """A number that the workers of one pass of a DataLoader share, and those of its other passes do not; 0 outside workers.

    The parent numbers its processes in a row, and a DataLoader starts its workers in one; persistent ones count passes.
    """
    info = get_worker_info()
    identity = getattr(multiprocessing.current_process(), "_identity", ())
    if info is None or not identity:
        return 0
    return 1 + ((int(identity[-1]) - info.id) * 1_000_003 + count) % (_PASSES - 1)


def _ignore_stops() -> None:
    """A scheduler's signal reaches all processes of a job; the main process decides what it means."""
    for name in ("SIGINT", "SIGTERM", "SIGUSR1"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
