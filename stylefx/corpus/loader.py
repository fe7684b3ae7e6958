"""Batches in order, read ahead by threads.

Decoding FLAC releases the interpreter's lock, so threads read as fast as processes, start at once and hand their arrays
over without a copy. Which items a batch holds is decided by the order alone; threads only decide when they are read.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from stylefx.corpus.dataset import Batch, EvaluationSet, TrainingSet
from stylefx.corpus.order import micro_batch


class _Reader:
    """Items into slots of arrays; with ``workers`` 0 in the calling thread."""

    def __init__(self, workers: int):
        self.pool = ThreadPoolExecutor(workers, thread_name_prefix="stylefx-read") if workers else None

    def submit(self, function, *args) -> Future:
        if self.pool is not None:
            return self.pool.submit(function, *args)
        future: Future = Future()
        future.set_result(function(*args))
        return future

    def close(self) -> None:
        if self.pool is not None:
            self.pool.shutdown(wait=True, cancel_futures=True)


class TrainingLoader:
    """One rank's micro-batches from ``start_step`` on, ``accumulation`` of them per step.

    Iterating yields ``Batch`` until ``stop_step``. The state of a loader is the step: a new loader that starts there, with
    any number of workers, or on another number of ranks with the same global batch, goes on with the same samples.
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
    ):
        self.data, self.micro, self.accumulation = data, micro, accumulation
        self.rank, self.world, self.workers, self.ahead = rank, world, workers, ahead if workers else 1
        self.start_step, self.stop_step = start_step, stop_step

    def _positions(self) -> Iterator[range]:
        for step in range(self.start_step, self.stop_step):
            for part in range(self.accumulation):
                yield micro_batch(step, part, self.rank, self.world, self.micro, self.accumulation)

    def _start(self, reader: _Reader, positions: range) -> tuple[Batch, list[Future]]:
        """Allocate a batch and ask for its items."""
        data, n = self.data, len(positions)
        shape = (n, data.channels, data.half_frames)
        data.prefetch(positions[0])
        samples = [data.sample(p) for p in positions]
        arrays = {name: np.empty(shape, np.float32) for name in data.fields}

        def fill(slot: int) -> None:
            for name, audio in data.read(*samples[slot]).items():
                arrays[name][slot] = audio

        futures = [reader.submit(fill, i) for i in range(n)]
        keys, epochs = [ref.key for _, ref, _ in samples], [epoch for _, _, epoch in samples]
        starts = np.array([data.start(ref, epoch) for _, ref, epoch in samples], np.int64)
        return Batch(keys=keys, epochs=epochs, valid=np.ones(n, np.float32), starts=starts, **arrays), futures

    def __iter__(self) -> Iterator[Batch]:
        reader, queue = _Reader(self.workers), deque()
        positions = self._positions()
        try:
            while True:
                while len(queue) < self.ahead and (wanted := next(positions, None)) is not None:
                    queue.append(self._start(reader, wanted))
                if not queue:
                    return
                batch, futures = queue.popleft()
                for future in futures:
                    future.result()
                yield batch
        finally:
            reader.close()


class EvaluationLoader:
    """A rank's share of an evaluation set, in batches of one size, padded with items whose ``valid`` is 0.

    Every rank yields equally many batches; the items with ``valid`` 1 are, over all ranks, each item of the set once.
    """

    def __init__(self, data: EvaluationSet, *, batch: int, rank: int = 0, world: int = 1, workers: int = 2):
        self.data, self.batch, self.rank, self.world, self.workers = data, batch, rank, world, workers

    def __len__(self) -> int:
        return -(-len(self.data) // (self.batch * self.world))

    def __iter__(self) -> Iterator[Batch]:
        reader = _Reader(self.workers)
        try:
            for number in range(len(self)):
                start = (number * self.world + self.rank) * self.batch
                wanted = [min(start + i, len(self.data) - 1) for i in range(self.batch)]
                valid = np.array([start + i < len(self.data) for i in range(self.batch)], np.float32)
                items = [f.result() for f in [reader.submit(self.data.read, i) for i in wanted]]
                arrays = {name: np.stack([item[name] for item in items]) for name in items[0]}
                keys = [self.data.refs[i][1].key for i in wanted]
                yield Batch(keys=keys, epochs=[0] * self.batch, valid=valid, **arrays)
        finally:
            reader.close()
