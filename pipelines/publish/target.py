"""Where a corpus is published to: an object store or a folder, or a data set on a hub."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from pipelines.publish.base import Destination
from pipelines.publish.pieces import Piece, Shipment
from pipelines.storage.open import open_storage

_AT_ONCE = 8


class StorageTarget(Destination):
    """A folder or a prefix of an object store. A shard is there when its sidecar, which names the digests of its tar and table,
    is the same and these have their sizes: the sidecar is put after them."""

    def __init__(self, address: str):
        self._storage = open_storage(address)
        self.where = self._storage.where

    def read(self, name: str) -> bytes | None:
        try:
            return self._storage.read(name)
        except FileNotFoundError:
            return None

    def held(self, corpus: Shipment) -> set[str]:
        sizes = self._storage.list()

        def of_group(group: Sequence[Piece]) -> list[str]:
            there = [p for p in group if sizes.get(p.name) == p.size]
            same = [p.name for p in there if p.sha256 is None and self.read(p.name) == corpus.read(p.name)]
            if group[0].sha256 is None:
                return same
            return [p.name for p in group] if len(there) == len(group) and same else []

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return {name for names in pool.map(of_group, corpus.groups) for name in names}

    def put(self, corpus: Shipment, pieces: Sequence[Piece], what: str) -> None:
        for piece in pieces:
            self._storage.write(piece.name, corpus.read(piece.name))


def open_target(address: str) -> Destination:
    """``hf://datasets/OWNER/NAME`` or anything that a corpus can lie in."""
    if address.startswith("hf://"):
        from pipelines.publish.hub import HubTarget

        return HubTarget(address)
    return StorageTarget(address)
