"""Local copies of the plans of a corpus."""

from __future__ import annotations

from pathlib import Path

from pipelines.corpus.description import read_corpus
from pipelines.plan.file import ShardInfo, plan_overview
from pipelines.storage.base import Storage
from stylefx.corpus.schema import plan_file
from stylefx.errors import UserError


def local_plan(storage: Storage, generation: int, digest: str) -> Path:
    """A local path of the plan; one in an object store is fetched once per node."""
    return storage.local_copy(plan_file(generation), digest)


def plans_of(storage: Storage) -> list[tuple[Path, list[ShardInfo]]]:
    """(local path, shards) of every generation's plan; UserError when one is gone."""
    corpus = read_corpus(storage)
    if corpus is None:
        raise UserError(f"{storage.where} holds no corpus (no corpus.json); give the folder that build writes")
    out = []
    for generation in range(len(corpus["generations"])):
        if not storage.exists(plan_file(generation)):
            raise UserError(
                f"{plan_file(generation)} is missing in {storage.where}; run build with its manifest again, it is planned anew"
            )
        path = local_plan(storage, generation, str(corpus["generations"][generation].get("plan_digest")))
        out.append((path, plan_overview(path)))
    return out
