"""A shard that another worker committed since its task was given out is left as it is.

A worker may have committed a shard and died before it could say so, or another builder may have rendered it. Written again it
would have the same bytes, unless one of the two passes over a quarantined sample: then who read the first sidecar would describe
what the second one replaced.
"""

from __future__ import annotations

import hashlib

from pipelines.corpus.sidecar import Sidecar
from pipelines.shards.journal import quarantine_name
from pipelines.shards.task import ShardTask
from pipelines.storage.base import Storage
from stylefx.errors import DamageError


def committed_meanwhile(storage: Storage, task: ShardTask) -> Sidecar | None:
    """The sidecar of the task's shard where there is one, of this plan and manifest, and tar and table are what it says."""
    try:
        sidecar = Sidecar.from_bytes(storage.read(f"{task.name}.json"), task.name)
        asked = (task.shard_digest, task.plan_digest, task.manifest_digest)
        if (sidecar.shard_digest, sidecar.plan_digest, sidecar.manifest_digest) != asked:
            return None
        files = ((".tar", sidecar.bytes, sidecar.sha256), (".parquet", sidecar.parquet_bytes, sidecar.parquet_sha256))
        sizes = storage.list(task.name.rpartition("/")[0])
        if all(
            sizes.get(task.name + suffix) == size and _sha256(storage, task.name + suffix, size) == expected
            for suffix, size, expected in files
        ):
            if task.skip and not sidecar.counts["quarantined"]:
                storage.delete(quarantine_name(task.name))  # who was blamed is rendered
            return sidecar
    except (FileNotFoundError, DamageError):
        pass
    return None


def _sha256(storage: Storage, name: str, size: int) -> str:
    found = hashlib.sha256()
    for chunk in storage.chunks(name, size):
        found.update(chunk)
    return found.hexdigest()
