"""Batches as they come, unless the run is asked to stop meanwhile: then placeholders, so that no rank waits for another."""

from __future__ import annotations

from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor, wait

import numpy as np

from stylefx.corpus.batch import Batch
from stylefx.files import patience
from stylefx.training.processes.interrupt import StopRequest

GRACE_S = 2.0  # that a step may go on after a request to stop; a batch that comes later is not waited for
_LOOK_EVERY_S = 0.2
_ONE_BY_ONE = 2  # the first pass may be recorded as a CUDA graph, and no other thread may call the device meanwhile


def placeholder(items: int, channels: int, frames: int) -> Batch:
    """A batch of silence in which no item counts."""
    silence = np.zeros((items, channels, frames), np.float32)
    return Batch(
        keys=[""] * items,
        epochs=[0] * items,
        valid=np.zeros(items, np.float32),
        input=silence,
        target=silence,
        reference=silence,
        starts=np.zeros(items, np.int64),
    )


def interruptible(
    batches: Generator[Batch, None, None],
    stop: StopRequest,
    blank: Callable[[], Batch],
    early: Callable[[Batch], None] | None = None,
) -> Generator[Batch, None, None]:
    """The batches, read in a thread; from ``GRACE_S`` after a request to stop on, ``blank()`` for ever. With ``early`` the next
    one is read while the present one is used, and given to ``early`` in that thread; not so the first ``_ONE_BY_ONE``."""
    pool = ThreadPoolExecutor(1, thread_name_prefix="stylefx-feed")
    asked: Future[Batch | None] | None = None
    count = 0

    def read() -> Batch | None:
        batch = next(batches, None)
        if batch is not None and early is not None and count >= _ONE_BY_ONE:
            early(batch)
        return batch

    try:
        while stop.waited_s <= GRACE_S:
            asked = asked or pool.submit(read)
            while not wait([asked], _LOOK_EVERY_S).done and stop.waited_s <= GRACE_S:
                pass
            if not asked.done():
                patience.ending.set()  # a store that is away is waited for no longer
                break
            batch, asked = asked.result(), None
            if batch is None:
                return
            count += 1
            if early is not None and count >= _ONE_BY_ONE:
                asked = pool.submit(read)
            yield batch
        while True:
            yield blank()
    finally:
        if asked is None or wait([asked], 0.0 if stop else GRACE_S).done:
            batches.close()
        pool.shutdown(wait=False, cancel_futures=True)
