"""How far a build is, from any terminal and any machine: one listing, and the leases of those at work."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from typing import Any

from pipelines.builder.lease import read_leases
from pipelines.corpus.description import read_corpus
from pipelines.shards.journal import quarantine_name
from pipelines.storage.base import BUILD_FOLDER, Storage
from stylefx.corpus.schema import INDEX_FILE, SPLITS
from stylefx.errors import UserError
from stylefx.files.processes.lease import is_live
from stylefx.progress import duration

_SIDECAR = re.compile(rf"(?:{'|'.join(SPLITS)})/((?:{'|'.join(SPLITS)})-[0-9]{{6,}})\.json\Z")


@dataclass
class Status:
    """``builders``: one text per live builder; ``stopped``: builders whose lease was left behind."""

    where: str
    shards: int
    committed: int
    bytes: int
    finished: bool
    in_flight: list[str] = field(default_factory=list)
    quarantines: int = 0
    builders: list[str] = field(default_factory=list)
    stopped: int = 0

    def to_dict(self) -> dict[str, Any]:
        return dict(self.__dict__)

    def text(self) -> str:
        if self.finished:
            state = "finished"
        elif self.builders:
            state = "being built"
        else:
            state = "stopped; run the build again to resume"
        lines = [f"{self.where}: {state}", f"{self.committed} of {self.shards} shards committed, {self.bytes / 1e9:.3f} GB"]
        if self.in_flight:
            more = f" and {len(self.in_flight) - 8} more" if len(self.in_flight) > 8 else ""
            lines.append(f"in flight: {', '.join(self.in_flight[:8])}{more}")
        if self.quarantines:
            lines.append(f"shards with quarantined samples: {self.quarantines}")
        lines += self.builders
        if self.stopped:
            lines.append(f"builders that ended without saying so: {self.stopped}")
        return "\n".join(lines)


def read_status(storage: Storage) -> Status:
    """UserError where there is no corpus."""
    corpus = read_corpus(storage)
    if corpus is None:
        raise UserError(f"{storage.where} holds no corpus (no corpus.json); give the folder that build writes")
    files = storage.list()
    done = [name for name in files if _SIDECAR.match(name)]
    total = sum(int(g.get("shards", 0)) for g in corpus["generations"])
    size = sum(files.get(name.removesuffix(".json") + ".tar", 0) for name in done)
    status = Status(storage.where, total, len(done), size, INDEX_FILE in files and len(done) >= total)
    notes = f"{BUILD_FOLDER}/inflight/"
    quarantine = quarantine_name("").rpartition("/")[0] + "/"
    status.in_flight = sorted(name.removeprefix(notes) for name in files if name.startswith(notes))
    status.quarantines = sum(name.startswith(quarantine) for name in files)
    for lease in read_leases(storage).values():
        if is_live(lease):
            status.builders.append(_builder(lease))
        else:
            status.stopped += 1
    if not status.builders:
        status.in_flight = []
    return status


def _builder(lease: dict[str, Any]) -> str:
    index, count = lease["share"]
    text = f"builder: process {lease['pid']} on {lease['host']}, shards {index}/{count}"
    progress = lease.get("progress")
    if isinstance(progress, dict) and progress.get("samples"):
        text += f", {progress.get('samples_done')}/{progress['samples']} samples, {progress.get('samples_per_s')} samples/s"
        if isinstance(progress.get("eta_s"), (int, float)):
            text += f", {duration(progress['eta_s'])} to go"
    return f"{text}, heard of {max(0.0, time.time() - lease['renewed_s']):.0f} s ago"
