"""One run folder, one trainer: two of them would overwrite each other's journal and checkpoints.

Each trainer puts a lease of its own name into ``leases/`` and renews it; where two are, the older one stays. Whether one on
another machine lives is seen by watching whether its lease is renewed, so that clocks need not agree and a job that is
started again on another node waits a minute at most.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import uuid
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from stylefx.errors import IncompleteError, UserError
from stylefx.files.atomic import write_whole
from stylefx.files.processes.lease import RENEW_S, is_live, machine
from stylefx.files.sentences import explained

LEASES = "leases"
WATCH_S = 2.5 * RENEW_S  # a lease that is not renewed for so long is dead


class RunLease:
    """Context that holds the run folder; IncompleteError when another trainer has it."""

    def __init__(self, run: Path):
        self.run, self._name, self._started_s = run, uuid.uuid4().hex[:16], time.time()
        self._file = run / LEASES / f"{self._name}.json"
        self._ended = threading.Event()
        self._lost = False
        self._thread = threading.Thread(target=self._renew, name="lease", daemon=True)

    def __enter__(self) -> RunLease:
        if self.run.exists() and not self.run.is_dir():
            raise UserError(f"{self.run} is a file; give --out the folder of the run")
        with explained(str(self.run), "its lease"):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._write()
        for file in sorted(self._file.parent.glob("*.json")):
            if file != self._file:
                self._judge(file)
        self._thread.start()
        return self

    def __exit__(self, kind: type | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join(5)
        with suppress(OSError):
            self._file.unlink(missing_ok=True)
            self._file.parent.rmdir()

    def check(self) -> None:
        """IncompleteError when another trainer took the folder over, while this process was suspended or cut off."""
        if self._lost:
            raise IncompleteError(f"another trainer took over {self.run}; this one stops and writes nothing more")

    def _write(self) -> None:
        lease = {
            "host": socket.gethostname(),
            "machine": machine(),
            "pid": os.getpid(),
            "started_s": self._started_s,
            "renewed_s": time.time(),
        }
        write_whole(self._file, json.dumps(lease).encode())

    def _renew(self) -> None:
        while not self._ended.wait(RENEW_S):
            with suppress(OSError):  # a full disk is reported by the checkpoints; the lease merely ages
                if not self._file.exists():
                    self._lost = True
                    return
                self._write()

    def _judge(self, file: Path) -> None:
        """Remove a dead lease; withdraw from a live one that is older."""
        lease = _read(file)
        if lease is None or not is_live(lease) or not self._is_renewed(file, lease):
            file.unlink(missing_ok=True)
            return
        if (lease["started_s"], file.stem) < (self._started_s, self._name):
            self._file.unlink(missing_ok=True)
            raise IncompleteError(
                f"another trainer (process {lease['pid']} on {lease['host']}) is at work in {self.run}; wait for it, or choose "
                "another folder with --out"
            )

    def _is_renewed(self, file: Path, lease: dict[str, Any]) -> bool:
        """Whether its holder lives: known at once on this machine, elsewhere seen by the next renewal."""
        if lease.get("machine") == machine():
            return True
        until = time.monotonic() + WATCH_S
        while time.monotonic() < until:
            time.sleep(min(1.0, WATCH_S / 10))
            now = _read(file)
            if now is None:
                return False
            if now["renewed_s"] != lease["renewed_s"]:
                return True
        return False


def _read(file: Path) -> dict[str, Any] | None:
    """A lease; None where it is gone or not one."""
    try:
        lease = json.loads(file.read_text())
        return {**lease, "pid": int(lease["pid"]), "started_s": float(lease["started_s"]), "renewed_s": float(lease["renewed_s"])}
    except (OSError, ValueError, KeyError, TypeError):
        return None
