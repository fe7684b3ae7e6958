"""One warmed process forks a victim for every round: a program whose n-th changing system call fails, or that is killed there.

A round starts a victim, lets it meet its fault, runs it again without one, and compares what it left with what an undisturbed
run leaves.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import faulthandler
import hashlib
import os
import re
import shutil
import signal
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.injection.shim import KILL_ALL, KILL_ONE, Shim

_PR_SET_CHILD_SUBREAPER = 36
_PATIENCE_S = 60.0

#: name -> (action of the shim, whether all later calls fail too)
FAULTS = {
    "SIGKILL": (KILL_ALL, False),
    "EIO": (errno.EIO, False),
    "ENOSPC": (errno.ENOSPC, False),
    "EDQUOT": (errno.EDQUOT, False),
    "ESTALE": (errno.ESTALE, False),
    "EACCES": (errno.EACCES, False),
    "EIO on": (errno.EIO, True),  # and so does every later call
    "SIGKILL one": (KILL_ONE, False),  # the process that calls, not the whole program
}
EVERYWHERE = ("SIGKILL", "EIO")


class Finding(Exception):
    """A promise that does not hold."""


@dataclass(frozen=True)
class Point:
    """A counted call: its number in the undisturbed run, and what tells its call site from others."""

    number: int
    site: str


@dataclass(frozen=True)
class Ended:
    """How a victim ended: its exit status (minus the signal), what it printed, and which call was hit."""

    status: int
    printed: str
    hit: str


class Victim(ABC):
    """A program in a folder of its own."""

    #: the exit status that a fault ends in, by the fault; others end in 3, and in 0 where nothing depends on the call
    statuses: dict[str, int] = {}  # noqa: RUF012 - replaced by subclasses

    def __init__(self, folder: Path):
        self.folder = folder
        self.roots = [folder / "round"]

    @abstractmethod
    def warm(self) -> None:
        """Once, in the process that will be forked: everything that is slow to load, without a thread left running."""

    @abstractmethod
    def begin(self) -> None:
        """Before each round: what stands there before the program runs; ``roots[0]`` is empty."""

    def begin_after_power_cut(self, lay_out: Callable[[], None]) -> None:
        """The disk as ``lay_out`` writes it, and what the program does not write itself."""
        self.begin()
        lay_out()

    @abstractmethod
    def main(self) -> int:
        """The program, in a fork of its own; returns its exit status, or leaves with SystemExit."""

    @abstractmethod
    def left(self) -> dict[str, str]:
        """{name: digest} of all that the finished program leaves and that has to be the same always."""

    def litter(self) -> list[str]:
        """What a program that ended with an error must not leave, or one that was run again."""
        return sorted(
            str(p) for root in self.roots for p in root.rglob("*") if p.is_file() and p.name.endswith((".part", ".tmp"))
        )

    def check_between(self, ended: Ended) -> None:  # noqa: B027 - nothing, for most
        """What must hold after the fault and before the program is run again."""


class Rounds:
    """Plays rounds of one victim; ``expected`` is what its undisturbed run leaves."""

    def __init__(self, victim: Victim, shim: Shim):
        self.victim, self.shim = victim, shim
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)
        self._log = victim.folder / "log"
        victim.warm()
        self.fresh()
        trace = victim.folder / "trace"
        ended = self.run(trace=trace)
        if ended.status != 0:
            raise SystemExit(f"the undisturbed run failed with {ended.status}: {ended.printed}")
        self.expected = victim.left()
        self.points = [Point(call.number, site_of(call)) for call in read_trace(trace)]

    def fresh(self) -> None:
        """An empty place for the next round."""
        for root in self.victim.roots:
            shutil.rmtree(root, ignore_errors=True)
            root.mkdir(parents=True)
        self.victim.begin()

    def run(self, target: int = 0, action: int = 0, sticky: bool = False, trace: Path | None = None) -> Ended:
        """One run of the program to its end, with a fault or without."""
        self._log.unlink(missing_ok=True)
        self.shim.arm(self.victim.roots, target, action, sticky, trace)
        pid = os.fork()
        if pid == 0:
            self._become_victim()
        status = self._wait(pid)
        self.shim.disarm()
        return Ended(status, self._log.read_text(errors="replace"), self.shim.fired)

    def _become_victim(self) -> None:
        os.setsid()
        log = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(log, 1)
        os.dup2(log, 2)
        status = 1
        faulthandler.register(signal.SIGUSR1, all_threads=True)
        try:
            status = self.victim.main()
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 1
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)

    def _wait(self, pid: int) -> int:
        """The status of the program; whatever it started is ended and reaped too."""
        deadline, status = time.monotonic() + _PATIENCE_S, None
        while status is None:
            found, code = os.waitpid(pid, os.WNOHANG)
            if found:
                status = os.waitstatus_to_exitcode(code)
            elif time.monotonic() > deadline:
                os.kill(pid, signal.SIGUSR1)  # say where it is
                time.sleep(0.5)
                os.killpg(pid, signal.SIGKILL)
                self._reap(pid)
                raise Finding(f"no end after {_PATIENCE_S:g} s; it printed: {self._log.read_text(errors='replace')[-2000:]}")
            else:
                time.sleep(0.002)
        self._reap(pid)
        return status

    @staticmethod
    def _reap(pid: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while True:
                os.waitpid(-1, 0)

    def play(self, point: int, fault: str) -> str:
        """One round; returns how it ended, raises Finding for a promise that does not hold."""
        action, sticky = FAULTS[fault]
        self.fresh()
        try:
            ended = self.run(point, action, sticky)
        except Finding as finding:
            raise Finding(f"{fault} at call {point} ({self.shim.fired}): {finding}") from None
        what = f"{fault} at call {point} ({ended.hit or 'never reached'})"
        try:
            self._check(ended, fault)
            self.victim.check_between(ended)
        except Finding as finding:
            raise Finding(f"{what}: {finding}") from None
        self.check_next_run(what)
        return f"{what}: {ended.status}"

    def check_next_run(self, what: str) -> None:
        """Run the program again, undisturbed; it has to leave what it always leaves."""
        again = self.run()
        if again.status != 0:
            raise Finding(f"{what}: the next run ended with {again.status}: {again.printed[-2000:]}")
        try:
            self._compare("after the next run")
        except Finding as finding:
            raise Finding(f"{what}: {finding}") from None

    def _check(self, ended: Ended, fault: str) -> None:
        if fault == "SIGKILL":
            if ended.hit and ended.status != -signal.SIGKILL:
                raise Finding(f"it was killed and ended with {ended.status}")
            return
        if ended.status == -signal.SIGKILL and fault == "SIGKILL one":
            return
        if "Traceback" in ended.printed or "internal error" in ended.printed:
            raise Finding(f"a traceback: {ended.printed[-3000:]}")
        removing = ended.hit.split(" ")[0] in ("unlink", "rmdir")  # what refuses to go stays until the next run
        if ended.status == 0:
            if not removing:
                self._compare("although it ended well")
            return
        if ended.status != self.victim.statuses.get(fault, 3):
            raise Finding(f"exit status {ended.status}: {ended.printed[-1500:]}")
        sentences = [line for line in ended.printed.splitlines() if line.startswith("error: ")]
        if len(sentences) != 1 or not ended.printed.strip().splitlines()[-1].startswith("error: "):
            raise Finding(f"not one sentence at the end: {ended.printed[-1500:]}")
        if not removing and not FAULTS[fault][1] and (litter := self.victim.litter()):
            raise Finding(f"left behind: {litter}")

    def _compare(self, when: str) -> None:
        found, expected = self.victim.left(), self.expected
        differing = sorted(name for name in {*found, *expected} if found.get(name) != expected.get(name))
        if differing:
            raise Finding(f"{when} {len(differing)} files differ from the undisturbed run: {differing[:5]}")
        if litter := self.victim.litter():
            raise Finding(f"{when} there is litter: {litter[:5]}")


@dataclass(frozen=True)
class TracedCall:
    """A line of the trace. ``data``: what a write writes; ``offset``: where to, or the length that a truncation leaves."""

    number: int
    pid: int
    op: str
    path: str
    other: str
    offset: int
    data: bytes


def read_trace(path: Path) -> Iterator[TracedCall]:
    with open(path, "rb") as file:
        while line := file.readline():
            number, pid, op, offset, length, first, second = line.split()
            names = [file.read(int(n)).decode() for n in (first, second)]
            data = file.read(int(length)) if op == b"write" else b""
            yield TracedCall(int(number), int(pid), op.decode(), *names, int(offset), data)


def digest_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def site_of(call: TracedCall) -> str:
    """The kind of the call and of the files it is about."""
    return re.sub(r"[0-9a-f]{12,}|[0-9]+|\b(train|val|test)\b", "#", f"{call.op} {call.path} {call.other}".strip())
