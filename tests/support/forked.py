"""Ranks and commands as forked children: they share what is imported, so that each costs milliseconds to start."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def child(call: Callable[[], object], log: Path) -> int:
    """The process number of a child that calls and ends, by the status of what an error of ours says; its output in ``log``."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    with contextlib.suppress(BaseException):
        handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        sys.stdout, sys.stderr = (open(number, "w", buffering=1, closefd=False) for number in (1, 2))  # noqa: SIM115
        try:
            call()
            status = 0
        except SystemExit as error:
            status = int(error.code or 0)
        except BaseException as error:
            status = getattr(error, "exit_status", 1)
            os.write(handle, traceback.format_exc().encode())
    os._exit(status)


def ranks(call: Callable[[int], object], log: Path, world: int = 2) -> list[int]:
    """Children that are the ranks of one group."""
    port, pids = free_port(), []
    for rank in range(world):

        def as_rank(rank: int = rank) -> object:
            place = {"WORLD_SIZE": world, "RANK": rank, "LOCAL_RANK": rank, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
            os.environ.update({name: str(value) for name, value in place.items()})
            return call(rank)

        pids.append(child(as_rank, log.with_name(f"{log.name}-{rank}")))
    return pids


def status_of(pid: int, limit_s: float = 100.0) -> int:
    """The exit status of a child; it is killed after ``limit_s``."""
    until = time.monotonic() + limit_s
    while time.monotonic() < until:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    raise AssertionError(f"the process {pid} did not end within {limit_s} s")


def wait_until(condition: Callable[[], bool], limit_s: float = 100.0) -> None:
    until = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.02)
