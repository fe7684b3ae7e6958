"""A virtual clock: threads of which one runs at a time, each until it waits; time goes on only when all wait. They are greenlets
of one real thread, so that going from one to the next asks no operating system.

What happens is a function of the seed alone. A process that is killed does nothing any more: whichever of its threads comes to a
wait, or is woken from one, meets ``Killed`` there.
"""

from __future__ import annotations

import heapq
import itertools
import random
import threading
from collections.abc import Callable
from typing import Any

from greenlet import greenlet

_LOOK_EVERY_S = 10.0

EPOCH_S = 1.7e9  # of the virtual clock's beginning, as time.time() counts


class Killed(BaseException):
    """Met by every thread of a process that was killed, and caught by none."""


class Hung(AssertionError):
    """The simulation's time ran out, or nothing was left to happen."""


class Machine:
    """A computer: a name, a clock that is wrong by ``skew_s``, and the processes that were started there, by number."""

    def __init__(self, name: str, skew_s: float = 0.0):
        self.name, self.skew_s = name, skew_s
        self.processes: dict[int, Process] = {}


class Process:
    """What is killed as a whole. ``memory`` holds what modules keep per process; ``on_death`` is called once, at its end."""

    def __init__(self, machine: Machine, name: str, pid: int):
        self.machine, self.name, self.pid = machine, name, pid
        machine.processes[pid] = self
        self.alive = True
        self.strands: list[Strand] = []
        self.memory: dict[str, Any] = {}
        self.on_death: list[Callable[[], None]] = []

    def kill(self) -> None:
        if not self.alive:
            return
        self.alive = False
        for strand in self.strands:
            strand.simulation.wake(strand)
        for call in self.on_death:
            call()


class Strand:
    """A thread of a process. ``ticket`` tells the wait it is in from those before."""

    def __init__(self, simulation: Simulation, process: Process | None, body: Callable[[], None] | None):
        self.simulation, self.process, self.ended = simulation, process, False
        self.ticket = 0
        self._body = body
        self.greenlet = greenlet.getcurrent() if body is None else greenlet(self._run, simulation.hub)

    def _run(self) -> None:
        """Ends in the hub."""
        simulation, process, body = self.simulation, self.process, self._body
        assert process is not None
        assert body is not None
        try:
            if process.alive:
                body()
        except Killed:
            pass
        except BaseException as error:
            simulation.broken = simulation.broken or error
        finally:
            self.ended = True
            process.strands.remove(self)
            simulation.due = None


_here = threading.local()


def strand() -> Strand | None:
    """The simulated thread that asks; None for real ones."""
    return getattr(_here, "strand", None)


def process() -> Process | None:
    here = strand()
    return here.process if here is not None else None


class Simulation:
    """The clock of one run, seeded. ``now_s`` begins at 0; who makes it is its observer: ``run`` waits for all others."""

    def __init__(self, seed: int | str, limit_s: float = 10 * 86400.0):
        self.random = random.Random(seed)
        self.now_s, self._limit_s = 0.0, limit_s
        self.broken: BaseException | None = None
        self.processes: list[Process] = []
        self._heap: list[tuple[float, int, int, Strand | Callable[[], None]]] = []
        self._serial = itertools.count()
        self._pids = itertools.count(100)
        self.hub = greenlet.getcurrent()
        self.due: Strand | None = None
        self._observer = Strand(self, None, None)

    # -- what is simulated

    def launch(self, machine: Machine, name: str, body: Callable[[], None]) -> Process:
        """A process with one thread; the others that it starts end with this one."""
        made = Process(machine, name, next(self._pids))
        self.processes.append(made)

        def main() -> None:
            body()
            made.kill()

        self.thread(made, main)
        return made

    def thread(self, owner: Process, body: Callable[[], None]) -> Strand:
        made = Strand(self, owner, body)
        owner.strands.append(made)
        self._push(self.now_s, made)
        return made

    def at(self, time_s: float, call: Callable[[], None]) -> None:
        """Something that happens by itself; it must not wait."""
        heapq.heappush(self._heap, (time_s, next(self._serial), 0, call))

    def after(self, delay_s: float, call: Callable[[], None]) -> None:
        self.at(self.now_s + delay_s, call)

    # -- waiting

    def pause(self, seconds: float) -> None:
        """The calling thread sleeps."""
        here = strand()
        assert here is not None
        self._check(here)
        self._push(self.now_s + max(seconds, 0.0), here)
        self._yield(here)
        self._check(here)

    def wait(self, waiters: list[Strand], timeout_s: float | None) -> None:
        """Until something wakes the calling thread, which is put among ``waiters``, or time is up."""
        here = strand()
        assert here is not None
        self._check(here)
        here.ticket += 1
        waiters.append(here)
        if timeout_s is not None:
            heapq.heappush(self._heap, (self.now_s + max(timeout_s, 0.0), next(self._serial), here.ticket, here))
        self._yield(here)
        if here in waiters:
            waiters.remove(here)
        self._check(here)

    def wake(self, sleeper: Strand) -> None:
        self._push(self.now_s, sleeper)

    def run(self, done: Callable[[], bool]) -> None:
        """Until ``done``, asked now and then; raises what broke inside."""
        here, _here.strand = strand(), self._observer
        try:
            while not done():
                self._push(self.now_s + _LOOK_EVERY_S, self._observer)
                self._yield(self._observer)
                if self.broken is not None:
                    raise self.broken
                if self.now_s > self._limit_s:
                    raise Hung(f"no end after {self._limit_s:g} virtual seconds")
        finally:
            _here.strand = here

    def close(self) -> None:
        """Kill what lives, so that no thread stays."""
        for made in self.processes:
            made.kill()
        self.run(lambda: not any(made.strands for made in self.processes))

    @staticmethod
    def _check(here: Strand) -> None:
        if here.process is not None and not here.process.alive:
            raise Killed

    # -- whose turn it is

    def _push(self, time_s: float, sleeper: Strand) -> None:
        if not sleeper.ended:
            sleeper.ticket += 1
            heapq.heappush(self._heap, (time_s, next(self._serial), sleeper.ticket, sleeper))

    def _next(self) -> Strand:
        while True:
            time_s, _, ticket, what = heapq.heappop(self._heap)
            if isinstance(what, Strand):
                if what.ended or what.ticket != ticket:
                    continue
                self.now_s = max(self.now_s, time_s)
                return what
            self.now_s = max(self.now_s, time_s)
            what()

    def _yield(self, here: Strand) -> None:
        """Until it is the caller's turn again."""
        self.due = self._next()
        while self.due is not here:
            _here.strand = self.due
            self.due.greenlet.switch()
            if self.due is None:  # one has ended, which brings us here: we are the hub
                self.due = self._next()
        _here.strand = here
