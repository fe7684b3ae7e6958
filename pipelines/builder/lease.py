"""Leases keep two builders from doing the same work; correctness does not depend on them.

A builder writes a lease of its own name, then lists: where another live lease covers some of the same shards, the
older one stays and the younger one withdraws. No conditional request is needed, so that every object store will do.
A lease is renewed every 20 s and also says how far its builder is, which ``status`` shows on any machine.
"""

from __future__ import annotations

import json
import math
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.storage.base import BUILD_FOLDER, Storage
from stylefx.errors import IncompleteError, StylefxError
from stylefx.files.processes.lease import RENEW_S, is_live, machine

LEASES = f"{BUILD_FOLDER}/leases"


@dataclass(frozen=True)
class Share:
    """Shards whose number is ``index`` modulo ``count``; 0/1 are all."""

    index: int = 0
    count: int = 1

    def __contains__(self, number: object) -> bool:
        return isinstance(number, int) and number % self.count == self.index

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    def overlaps(self, other: Share) -> bool:
        """Two residue classes meet where they agree modulo the greatest common divisor."""
        return (self.index - other.index) % math.gcd(self.count, other.count) == 0


def read_leases(storage: Storage) -> dict[str, dict[str, Any]]:
    """{builder: lease} of all that can be read."""
    out = {}
    for name in storage.list(LEASES):
        with suppress(FileNotFoundError, ValueError, TypeError, KeyError, IndexError, OverflowError, RecursionError):
            lease = json.loads(storage.read(name))
            index, count = (int(n) for n in lease["share"])
            if not 0 <= index < count or not math.isfinite(float(lease["renewed_s"])):
                continue
            numbers = {"pid": int(lease["pid"]), "started_s": float(lease["started_s"]), "renewed_s": float(lease["renewed_s"])}
            out[Path(name).stem] = {**lease, **numbers, "share": [index, count], "host": str(lease["host"])}
    return out


class Lease:
    """The lease of this process: ``acquire``, then it renews itself until ``release``."""

    def __init__(self, storage: Storage, share: Share, progress: Callable[[], dict[str, Any]]):
        self.builder = uuid.uuid4().hex[:16]
        self.lost = threading.Event()
        self._storage, self._share, self._progress = storage, share, progress
        self._name = f"{LEASES}/{self.builder}.json"
        self._started_s = time.time()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="lease", daemon=True)

    def _content(self) -> bytes:
        return json.dumps(
            {
                "share": [self._share.index, self._share.count],
                "host": socket.gethostname(),
                "machine": machine(),
                "pid": os.getpid(),
                "started_s": self._started_s,
                "renewed_s": time.time(),
                "progress": self._progress(),
            }
        ).encode()

    def acquire(self, take_over: bool = False) -> None:
        """IncompleteError when a live builder has some of the same shards, unless it is to be taken over."""
        self._storage.write(self._name, self._content())
        for builder, lease in read_leases(self._storage).items():
            if builder == self.builder or not Share(*lease["share"]).overlaps(self._share):
                continue
            if take_over or not is_live(lease):
                self._storage.delete(f"{LEASES}/{builder}.json")
            elif (lease["started_s"], builder) < (self._started_s, self.builder):
                self._storage.delete(self._name)
                share = Share(*lease["share"])
                raise IncompleteError(
                    f"another builder (process {lease['pid']} on {lease['host']}, shards {share}, last heard of "
                    f"{max(0, time.time() - lease['renewed_s']):.0f} s ago) is at work in {self._storage.where}; "
                    "wait for it, or break its lease with --take-over"
                )
        self._thread.start()

    def _renew(self) -> None:
        while not self._stop.wait(RENEW_S):
            with suppress(StylefxError, OSError):  # a full disk is reported by the shards; the lease merely ages
                if not self._storage.exists(self._name):
                    self.lost.set()
                    return
                self._storage.write(self._name, self._content())

    def check(self) -> None:
        """IncompleteError when another builder took over."""
        if self.lost.is_set():
            raise IncompleteError(
                f"another builder took over the shards {self._share} of {self._storage.where}; this one stops, nothing is lost"
            )

    def release(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(5)
        if not self.lost.is_set():
            with suppress(StylefxError, OSError):
                self._storage.delete(self._name)


def others_live(storage: Storage, builder: str) -> set[str]:
    """The other builders that are at work in this corpus."""
    return {name for name, lease in read_leases(storage).items() if name != builder and is_live(lease)}
