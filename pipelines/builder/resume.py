"""What is there already: one listing decides at once; the sidecars are read in the background while shards render.

What failed or was quarantined can be tried again: the shards that hold such samples are uncommitted and rendered anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from pipelines.builder.preflight import TRIAL
from pipelines.catalog.parts import PARTS
from pipelines.corpus.sidecar import Committed, Sidecar, check_sidecar
from pipelines.plan.file import ShardInfo
from pipelines.shards.journal import note_name, quarantine_name
from pipelines.storage.base import Storage
from stylefx.errors import DamageError

_READERS = 8


_AHEAD = 256


_SUFFIXES = (".tar", ".parquet", ".json")


def is_committed(shard: ShardInfo, files: dict[str, int]) -> bool:
    """Whether the listing shows all three files; the sidecar comes last, so it alone would do for an undamaged corpus."""
    return all(shard.name + suffix in files for suffix in _SUFFIXES)


def split_work(shards: Iterable[ShardInfo], files: dict[str, int]) -> tuple[list[ShardInfo], list[ShardInfo]]:
    """(to render, longest first; committed)."""
    todo: list[ShardInfo] = []
    done: list[ShardInfo] = []
    for shard in shards:
        (done if is_committed(shard, files) else todo).append(shard)
    todo.sort(key=lambda s: (-s.samples, s.number))
    return todo, done


def sweep(storage: Storage, shards: Iterable[ShardInfo], files: dict[str, int], alone: bool) -> None:
    """Remove what killed processes left: notes of the ``shards`` that this builder answers for, lest a sample be blamed for what
    happened to another builder; and, where no other one is at work, what they wrote to see whether they can, and parts of the
    catalog that is there."""
    notes = [note_name(shard.name) for shard in shards]
    trials = [name for name in files if name.startswith((TRIAL, PARTS))] if alone else []
    for name in (*(note for note in notes if note in files), *trials):
        storage.delete(name)


@dataclass
class Checked:
    """What reading sidecars found since the last call."""

    committed: list[Committed] = field(default_factory=list)
    damaged: list[tuple[ShardInfo, str]] = field(default_factory=list)


class SidecarReader:
    """Reads the sidecars of committed shards in threads; ``poll`` gives what is new and raises what must stop the build."""

    def __init__(self, storage: Storage, shards: Sequence[ShardInfo], manifest_digest: str, files: dict[str, int]):
        self._storage, self._digest, self._files = storage, manifest_digest, files
        self._left = iter(shards)
        self._pool = ThreadPoolExecutor(_READERS, thread_name_prefix="sidecars")
        self._running: dict[Future[Committed], ShardInfo] = {}
        self.finished = False
        self._fill()

    def _fill(self) -> None:
        while len(self._running) < _AHEAD:
            shard = next(self._left, None)
            if shard is None:
                break
            future = self._pool.submit(check_sidecar, self._storage, shard, self._digest, self._files)
            self._running[future] = shard
        self.finished = not self._running

    def poll(self, timeout_s: float = 0.0) -> Checked:
        """UserError when a shard belongs to another manifest or plan."""
        out = Checked()
        if self.finished:
            return out
        ended, _ = wait(self._running, timeout_s, FIRST_COMPLETED)
        for future in ended:
            shard = self._running.pop(future)
            try:
                out.committed.append(future.result())
            except DamageError as error:
                out.damaged.append((shard, str(error)))
        self._fill()
        return out

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


def forgive(storage: Storage, shards: Iterable[ShardInfo], files: dict[str, int]) -> None:
    """Forget what the quarantine remembers of shards that a builder has left before they were committed."""
    for name in map(quarantine_name, (shard.name for shard in shards)):
        if name in files:
            storage.delete(name)


def uncommit(storage: Storage, shards: Sequence[ShardInfo], outcomes: Sequence[str]) -> list[ShardInfo]:
    """The shards with samples of these outcomes. Their sidecars are removed, and with "quarantined" also what the
    quarantine remembers, so that from now on they count as not rendered."""

    def affected(shard: ShardInfo) -> bool:
        try:
            counts = Sidecar.from_bytes(storage.read(f"{shard.name}.json"), shard.name).counts
        except (FileNotFoundError, DamageError):
            return False  # the resume deals with it
        return any(counts[outcome] for outcome in outcomes)

    with ThreadPoolExecutor(_READERS) as pool:
        again = [shard for shard, hit in zip(shards, pool.map(affected, shards), strict=True) if hit]
    for shard in again:
        storage.delete(f"{shard.name}.json")
        if "quarantined" in outcomes:
            storage.delete(quarantine_name(shard.name))
    return again
