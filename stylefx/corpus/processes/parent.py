"""A reading process as the one that trains sees it: started, told what to read, waited for, ended."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

from stylefx.corpus.dataset import TrainingSet
from stylefx.corpus.processes.child import SIGNALS
from stylefx.corpus.processes.job import Job, Made
from stylefx.corpus.processes.memory import create, size_bytes, slots_of
from stylefx.errors import IncompleteError
from stylefx.files import patience

if TYPE_CHECKING:
    import numpy as np

END_S = 1.0  # that processes have to end by themselves
_LOOK_EVERY_S = 0.1
_RUN = "from stylefx.corpus.processes.child import main; main({}, {}, {})"


class ReadingProcess:
    """A fresh interpreter: a fork of a process with threads, or with a CUDA device, would inherit their locks."""

    def __init__(self, data: TrainingSet, job: Job, name: str):
        self.name, self._taken = name, 0
        shape = (job.sequence["micro"], data.channels, data.half_frames)
        memory = create(size_bytes(job.slots, data.fields, shape))
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self._slots = slots_of(memory, job.slots, data.fields, shape)
                program = _RUN.format(theirs.fileno(), memory, os.getpid())
                paths = os.pathsep.join(path or os.getcwd() for path in sys.path)
                with _signals_held():
                    self._process = subprocess.Popen(
                        [sys.executable, "-P", "-c", program],
                        stdin=subprocess.DEVNULL,
                        stdout=subprocess.DEVNULL,
                        env=os.environ | {"PYTHONPATH": paths},
                        pass_fds=(theirs.fileno(), memory),
                    )
            except BaseException:
                ours.close()
                raise
            finally:
                os.close(memory)
        self._connection = Connection(ours.detach())

    @property
    def pid(self) -> int:
        return self._process.pid

    def tell(self, data: bytes, job: Job) -> None:
        try:
            self._connection.send_bytes(data)
            self._connection.send(job)
        except OSError:
            raise self._died() from None

    def take(self) -> tuple[Made, dict[str, np.ndarray]]:
        """The next batch and its audio, which stays as it is until ``release``. IncompleteError where the process is gone, or the
        run ends meanwhile."""
        try:
            while not self._connection.poll(_LOOK_EVERY_S):
                if patience.ending.is_set():
                    raise IncompleteError("the run ends, and waits for no more batches; go on with --resume")
            made = self._connection.recv()
        except (EOFError, OSError):
            raise self._died() from None
        return made, self._slots[self._taken % len(self._slots)]

    def release(self) -> None:
        """The slot of the batch that was taken may be filled again."""
        self._taken += 1
        with suppress(OSError):  # it is noticed where the next batch is taken
            self._connection.send(True)

    def _died(self) -> IncompleteError:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(END_S)
        status = self._process.returncode
        if status is not None and status < 0:
            how = f"was ended by {_signal_name(-status)}" + (", as the system does where memory runs out" if status == -9 else "")
        else:
            how = f"ended with status {status}; see what it printed"
        return IncompleteError(f"{self.name} {how}; free memory or lower data.reader_processes, and go on with --resume")

    def hang_up(self) -> None:
        self._connection.close()

    def end(self, until_s: float) -> None:
        """Wait for its end until a time of ``time.monotonic``, then kill it."""
        try:
            self._process.wait(max(0.0, until_s - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._process.kill()
            with suppress(subprocess.TimeoutExpired):  # it hangs in the kernel
                self._process.wait(END_S)


def end_all(processes: Sequence[ReadingProcess]) -> None:
    """All at once, a second at most for those that end by themselves."""
    for process in processes:
        process.hang_up()
    until_s = time.monotonic() + END_S
    for process in processes:
        process.end(until_s)


@contextmanager
def _signals_held() -> Iterator[None]:
    """A process that is started in this block is not ended by a signal before it can say that it ignores it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
