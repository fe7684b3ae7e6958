"""The in-flight journal: which sample a worker is rendering, so that a killed worker's last sample is known.

The worker writes, the driver reads. A worker that dies leaves its note behind; the driver counts it as a strike of
that sample, and after two strikes the sample is quarantined. Notes left by a driver that died itself are no strikes:
somebody killed the whole build.

In a folder every sample is noted (a write into the page cache, no fsync: it outlives the process, not the machine).
In an object store a note is a request, so that only a shard's repeated attempts are noted.
"""

from __future__ import annotations

import json
import os
import time

from pipelines.storage.base import BUILD_FOLDER, Storage
from stylefx.errors import DamageError
from stylefx.files.sentences import explained

STRIKES = 2


_WIDTH = 256


def note_name(shard: str) -> str:
    return f"{BUILD_FOLDER}/inflight/{shard.rpartition('/')[2]}"


def quarantine_name(shard: str) -> str:
    return f"{BUILD_FOLDER}/quarantine/{shard.rpartition('/')[2]}.json"


class SampleJournal:
    """The worker's side: ``enter`` before each sample, ``leave`` when the shard is done."""

    def __init__(self, storage: Storage, shard: str, attempt: int):
        self._storage, self._name = storage, note_name(shard)
        self._handle: int | None = None
        self._active = not storage.remote or attempt > 0
        if not storage.remote:
            path = storage.local_path(self._name)
            with explained(storage.where, self._name):
                path.parent.mkdir(parents=True, exist_ok=True)
                self._handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
            self._write("")

    def _write(self, key: str) -> None:
        data = json.dumps({"key": key, "time_s": int(time.time())}).encode()
        if self._handle is not None:
            with explained(self._storage.where, self._name):
                os.pwrite(self._handle, data.ljust(_WIDTH), 0)
        elif self._active:
            self._storage.write(self._name, data)

    def enter(self, key: str) -> None:
        self._write(key)

    def leave(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
        if self._active:
            self._storage.delete(self._name)


def in_flight(storage: Storage, shard: str) -> tuple[str | None, int | None]:
    """The driver's side: (sample that the shard's last worker was rendering, since when); (None, None) for none."""
    try:
        note = json.loads(storage.read(note_name(shard)).decode() or "{}")
        return (str(note["key"]), int(note["time_s"])) if note["key"] else (None, None)
    except FileNotFoundError:
        return None, None
    except (ValueError, KeyError, TypeError):  # torn by the death of the machine
        return None, None


def forget(storage: Storage, shard: str) -> None:
    """Drop the note, so that the next death is not blamed on the same sample."""
    storage.delete(note_name(shard))


def quarantine(storage: Storage, shard: str, samples: dict[str, str]) -> None:
    """Remember {key: reason} of a shard until it is committed without them."""
    storage.write(quarantine_name(shard), json.dumps(samples, sort_keys=True).encode())


def quarantined(storage: Storage, shard: str) -> dict[str, str]:
    """{key: reason} of a shard."""
    try:
        data = json.loads(storage.read(quarantine_name(shard)))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise DamageError(f"{quarantine_name(shard)} in {storage.where} is not JSON; delete it and build again") from error
    if not isinstance(data, dict):
        raise DamageError(f"{quarantine_name(shard)} in {storage.where} is not a table; delete it and build again")
    return {str(key): str(reason) for key, reason in data.items()}
