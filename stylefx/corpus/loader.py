"""Batches in order, read ahead by threads.

Decoding FLAC releases the interpreter's lock, so threads start at once and hand their arrays over without a copy; what is not
decoding holds it, and ``stylefx.corpus.processes`` reads beside it. Which items a batch holds is decided by the order alone;
threads only decide when they are read.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from stylefx.corpus.batch import Batch, Marks
from stylefx.corpus.dataset import EvaluationSet, TrainingSet
from stylefx.corpus.order import micro_batch
from stylefx.corpus.partners import Item
from stylefx.corpus.tolerance import Findings, Tolerance
from stylefx.files import patience


class _Reader:
    """Items into slots of arrays; with ``workers`` 0 in the calling thread."""

    def __init__(self, workers: int):
        self.pool = ThreadPoolExecutor(workers, thread_name_prefix="stylefx-read") if workers else None

    def submit(self, function: Callable[..., Any], *args: Any) -> Future[Any]:
        if self.pool is not None:
            return self.pool.submit(function, *args)
        future: Future[Any] = Future()
        future.set_result(function(*args))
        return future

    def close(self) -> None:
        if self.pool is not None:
            self.pool.shutdown(wait=not patience.ending.is_set(), cancel_futures=True)


class MicroBatch:
    """A micro-batch whose items are read one by one, in any order, by any threads, into ``arrays``: {name: float32 (items,
    channels, samples)}."""

    def __init__(self, data: TrainingSet, positions: range, arrays: dict[str, np.ndarray]):
        self.data, self.positions, self.arrays = data, positions, arrays
        self._found: list[tuple[Item, Marks] | None] = [None] * len(positions)

    def fill(self, slot: int, tolerance: Tolerance | Findings) -> None:
        item, read, marks = self.data.read_sound(self.positions[slot], tolerance)
        for name, array in self.arrays.items():
            array[slot] = read[name]
        self._found[slot] = item, marks

    def facts(self) -> Batch:
        """The batch without its audio, when all slots are filled."""
        found = [entry for entry in self._found if entry is not None]  # all of them
        items, marks = [item for item, _ in found], [marks for _, marks in found]
        return Batch(
            keys=[item.ref.key for item in items],
            epochs=[item.epoch for item in items],
            valid=np.ones(len(items), np.float32),
            starts=np.array([self.data.start(item.ref, item.epoch) for item in items], np.int64),
            groups=[item.ref.group for item in items],
            labels=[m.label for m in marks],
            reference_other=np.array([item.other for item in items], bool),
            nothing_to_do=np.array([m.nothing_to_do for m in marks], bool),
        )

    def batch(self) -> Batch:
        return self.facts().with_audio(self.arrays)


class TrainingLoader:
    """One rank's micro-batches from ``start_step`` on, ``accumulation`` of them per step.

    Iterating yields ``Batch`` until ``stop_step``. The state of a loader is the step: a new loader that starts there, with
    any number of workers, or on another number of ranks with the same global batch, goes on with the same samples.
    ``allocate`` gives the float32 memory that audio is read into (default: numpy's).
    """

    def __init__(
        self,
        data: TrainingSet,
        *,
        micro: int,
        accumulation: int = 1,
        rank: int = 0,
        world: int = 1,
        workers: int = 2,
        start_step: int = 0,
        stop_step: int,
        ahead: int = 3,
        allocate: Callable[[tuple[int, ...]], np.ndarray] | None = None,
        tolerance: Tolerance | None = None,
    ):
        self.allocate = allocate or (lambda shape: np.empty(shape, np.float32))
        self.tolerance = tolerance or Tolerance()
        self.data, self.micro, self.accumulation = data, micro, accumulation
        self.rank, self.world, self.workers, self.ahead = rank, world, workers, ahead if workers else 1
        self.start_step, self.stop_step = start_step, stop_step

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of each array of a batch: (items, channels, samples)."""
        return self.micro, self.data.channels, self.data.half_frames

    def positions(self) -> Iterator[range]:
        """Of every micro-batch of this rank, in order."""
        for step in range(self.start_step, self.stop_step):
            for part in range(self.accumulation):
                yield micro_batch(step, part, self.rank, self.world, self.micro, self.accumulation)

    def _start(self, reader: _Reader, positions: range) -> tuple[MicroBatch, list[Future[Any]]]:
        """Allocate a batch and ask for its items; the batch can be had when they are there."""
        self.data.prefetch(positions[0])
        reading = MicroBatch(self.data, positions, {name: self.allocate(self.shape) for name in self.data.fields})
        return reading, [reader.submit(reading.fill, i, self.tolerance) for i in range(len(positions))]

    def __iter__(self) -> Generator[Batch, None, None]:
        reader, queue = _Reader(self.workers), deque[tuple[MicroBatch, list[Future[Any]]]]()
        positions = self.positions()
        try:
            while True:
                while len(queue) < self.ahead and (wanted := next(positions, None)) is not None:
                    queue.append(self._start(reader, wanted))
                if not queue:
                    return
                reading, futures = queue.popleft()
                for future in futures:
                    future.result()
                yield reading.batch()
        finally:
            reader.close()


class EvaluationLoader:
    """A rank's share of an evaluation set, in batches of one size, padded with items whose ``valid`` is 0.

    Every rank yields equally many batches; the items with ``valid`` 1 are, over all ranks, each item of the set once.
    """

    def __init__(
        self,
        data: EvaluationSet,
        *,
        batch: int,
        rank: int = 0,
        world: int = 1,
        workers: int = 2,
        tolerance: Tolerance | None = None,
    ):
        self.tolerance = tolerance or Tolerance()
        self.data, self.batch, self.rank, self.world, self.workers = data, batch, rank, world, workers

    def __len__(self) -> int:
        return -(-len(self.data) // (self.batch * self.world))

    def __iter__(self) -> Generator[Batch, None, None]:
        reader = _Reader(self.workers)
        try:
            for number in range(len(self)):
                start = (number * self.world + self.rank) * self.batch
                wanted = [min(start + i, len(self.data) - 1) for i in range(self.batch)]
                valid = np.array([start + i < len(self.data) for i in range(self.batch)], np.float32)
                read = [f.result() for f in [reader.submit(self.data.read_sound, i, self.tolerance) for i in wanted]]
                valid *= [sound for sound, _, _ in read]
                yield self._collated(wanted, valid, [(audio, marks) for _, audio, marks in read])
        finally:
            reader.close()

    def _collated(self, wanted: list[int], valid: np.ndarray, items: list[tuple[dict[str, np.ndarray], Marks]]) -> Batch:
        refs, marks = [self.data.refs[i][1] for i in wanted], [marks for _, marks in items]
        return Batch(
            keys=[ref.key for ref in refs],
            epochs=[0] * len(refs),
            valid=valid,
            groups=[ref.group for ref in refs],
            labels=[m.label for m in marks],
            reference_other=np.array([m.reference_other for m in marks], bool),
            nothing_to_do=np.array([m.nothing_to_do for m in marks], bool),
            **{name: np.stack([audio[name] for audio, _ in items]) for name in self.data.pairs.names},
        )
