"""What a reading process does: it reads batches into slots of shared memory until the one that trains closes the pipe, or ends.

It imports no torch. What a signal means is decided by the process that trains.
"""

from __future__ import annotations

import os
import pickle
import queue
import signal
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

from stylefx.corpus.dataset import TrainingSet
from stylefx.corpus.loader import MicroBatch
from stylefx.corpus.processes.job import Job, Made, sendable
from stylefx.corpus.processes.memory import slots_of
from stylefx.corpus.tolerance import Findings
from stylefx.files import patience

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1) if os.name == "posix" else ()
_LOOK_EVERY_S = 1.0
_LAST_WAIT_S = 0.5  # for readers that remove what they have half fetched

_Started = tuple[MicroBatch, list[Findings], list[Future[Any]]]


class Readers:
    """Threads that fill the slots in turns. A batch is sent when it is whole, in order."""

    def __init__(self, connection: Connection, data: TrainingSet, job: Job, memory: int):
        self._connection, self._data, self._job = connection, data, job
        shape = (job.sequence["micro"], data.channels, data.half_frames)
        self._slots = slots_of(memory, job.slots, data.fields, shape)
        self._positions, self._count = job.positions(data), 0
        self._pool = ThreadPoolExecutor(job.threads, thread_name_prefix="stylefx-read")
        self._started: queue.SimpleQueue[_Started] = queue.SimpleQueue()
        threading.Thread(target=self._send, name="stylefx-send", daemon=True).start()

    def start(self) -> None:
        """Ask for the next batch, if there is one more, in the next slot, which has to be free."""
        positions = next(self._positions, None)
        if positions is None:
            return
        reading = MicroBatch(self._data, positions, self._slots[self._count % len(self._slots)])
        self._count += 1
        found = [Findings(self._job.tolerant) for _ in positions]
        futures: list[Future[Any]] = [self._pool.submit(self._data.prefetch, positions[0])]
        futures += [self._pool.submit(reading.fill, i, found[i]) for i in range(len(positions))]
        self._started.put((reading, found, futures))

    def _send(self) -> None:
        with suppress(OSError):  # nobody reads any more
            while True:
                self._connection.send(_made(*self._started.get()))

    def close(self) -> None:
        patience.ending.set()
        self._pool.shutdown(wait=False, cancel_futures=True)
        until = time.monotonic() + _LAST_WAIT_S
        for thread in threading.enumerate():
            if thread.name.startswith("stylefx-read"):
                thread.join(max(0.0, until - time.monotonic()))


def _made(reading: MicroBatch, found: list[Findings], futures: list[Future[Any]]) -> Made:
    damage = []
    try:
        for future, findings in zip(futures, [Findings(True), *found], strict=True):
            try:
                future.result()
            finally:
                damage += [(name, error) for name, error in findings.found]
        return Made(reading.facts(), damage)
    except BaseException as error:  # noqa: BLE001 - it is raised in the process that trains
        return Made(None, damage, sendable(error))


def main(pipe: int, memory: int, parent: int) -> None:
    """The whole life of the process. ``pipe`` and ``memory`` are file descriptors, ``parent`` is the process that trains."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    if SIGNALS:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    connection = Connection(pipe)
    readers = None
    with suppress(EOFError, OSError):
        try:
            data = pickle.loads(connection.recv_bytes())
            job: Job = connection.recv()
            readers = Readers(connection, data, job, memory)
            for _ in range(job.slots):
                readers.start()
            while _is_asked(connection, parent):
                readers.start()
        except (EOFError, OSError):
            raise
        except Exception as error:  # noqa: BLE001 - it is raised in the process that trains
            connection.send(Made(error=sendable(error)))
    if readers is not None:
        readers.close()
    os._exit(0)  # threads may hang in a foreign client


def _is_asked(connection: Connection, parent: int) -> bool:
    """Wait until a slot is free; False where the process that trains is gone, though a copy of its pipe may be open."""
    while not connection.poll(_LOOK_EVERY_S):
        if os.getppid() != parent:
            return False
    return bool(connection.recv())
