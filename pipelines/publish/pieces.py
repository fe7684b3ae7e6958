"""What of a corpus is published, and in which order: shards as they were committed, then what describes them, the index last."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from pipelines.corpus.view import CorpusView
from stylefx.corpus.schema import CORPUS_FILE, INDEX_FILE
from stylefx.errors import UserError

_DESCRIBING = re.compile(r"(catalog|plan)-[0-9]{4,}\.parquet|README\.md|croissant\.json|sizes\.json|wids-(train|val|test)\.json")


@dataclass(frozen=True)
class Piece:
    """One file. ``sha256`` is known of what the index lists; ``generation`` of a shard's files, else None."""

    name: str
    size: int
    sha256: str | None = None
    generation: int | None = None


@dataclass(frozen=True)
class Shipment:
    """The groups of pieces in order, each to be put as one: a shard's three files with its sidecar last, ..., the index alone."""

    groups: list[list[Piece]]
    generations: list[dict[str, object]]
    read: Callable[[str], bytes]

    @property
    def pieces(self) -> list[Piece]:
        return [piece for group in self.groups for piece in group]


def published(view: CorpusView) -> Shipment:
    """UserError for a corpus that is not finished."""
    index, files = view.index, view.files
    if index is None:
        raise UserError(f"{view.where} has no {INDEX_FILE}, so it is not finished; finish it with stylefx-pipe build")
    groups = []
    for shard in sorted(index["shards"], key=lambda s: (s["generation"], s["name"])):
        name, generation = shard["name"], shard["generation"]
        tar = Piece(f"{name}.tar", shard["bytes"], shard["sha256"], generation)
        table = Piece(f"{name}.parquet", shard["parquet_bytes"], shard["parquet_sha256"], generation)
        for piece in (tar, table):
            if files.get(piece.name) != piece.size:
                raise UserError(f"{view.where}/{piece.name} is not what the index says; run stylefx-pipe verify")
        groups.append([tar, table, Piece(f"{name}.json", files[f"{name}.json"], None, generation)])
    describing = sorted(n for n in files if n == CORPUS_FILE or _DESCRIBING.fullmatch(n))
    groups.append([Piece(n, files[n]) for n in describing])
    groups.append([Piece(INDEX_FILE, files[INDEX_FILE])])
    return Shipment(groups, index["generations"], view.storage.read)
