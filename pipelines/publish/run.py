"""Publish a corpus: resumable, in an order that leaves readers of what was there a whole corpus at every moment."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.publish.base import Destination
from pipelines.publish.pieces import Piece, Shipment
from stylefx.corpus.schema import INDEX_FILE
from stylefx.errors import UserError


@dataclass(frozen=True)
class Published:
    """Counts of files and bytes; ``old_bytes`` are those of shards that the address had before, ``again_bytes`` what of them was
    uploaded nevertheless."""

    where: str
    files: int
    uploaded: int
    uploaded_bytes: int
    old_bytes: int
    again_bytes: int

    @property
    def share(self) -> float:
        """Of the old shards' bytes, those that were uploaded again."""
        return self.again_bytes / self.old_bytes if self.old_bytes else 0.0

    def text(self) -> str:
        done = f"{self.where}: uploaded {self.uploaded} of {self.files} files, {self.uploaded_bytes / 1e6:.1f} MB"
        if not self.old_bytes:
            return done
        return f"{done}; of the {self.old_bytes / 1e6:.1f} MB of shards that were there, {100 * self.share:.1f} % again"

    def to_dict(self) -> dict[str, Any]:
        return {
            "where": self.where,
            "files": self.files,
            "uploaded": self.uploaded,
            "uploaded_bytes": self.uploaded_bytes,
            "old_shard_bytes": self.old_bytes,
            "uploaded_again_bytes": self.again_bytes,
        }


def publish(
    corpus: Shipment, target: Destination, replace: bool = False, say: Callable[[str], None] = lambda _: None
) -> Published:
    """Upload what is not there yet. UserError where the address holds another corpus, unless ``replace``."""
    old = _old_shards(corpus, target, replace)
    held = target.held(corpus)
    missing = [[p for p in group if p.name not in held] for group in corpus.groups]
    groups = [group for group in missing if group]
    shards, last = [g for g in groups if g[0].generation is not None], [g for g in groups if g[0].generation is None]
    batches = [shards[i : i + target.batch] for i in range(0, len(shards), target.batch)] + [[g] for g in last]
    for done, batch in enumerate(batches):
        pieces = [piece for group in batch for piece in group]
        say(f"{done} of {len(batches)} parts there; uploading {_named(pieces)}")
        target.put(corpus, pieces, f"publish {_named(pieces)}")
    sent = [piece for group in groups for piece in group]
    again = sum(p.size for p in sent if p.name in old)
    old_bytes = sum(p.size for p in corpus.pieces if p.name in old)
    return Published(target.where, len(corpus.pieces), len(sent), sum(p.size for p in sent), old_bytes, again)


def _old_shards(corpus: Shipment, target: Destination, replace: bool) -> set[str]:
    """Names of the files of shards that the address has by its index; UserError where that is another corpus."""
    data = target.read(INDEX_FILE)
    if data is None:
        return set()
    try:
        index = json.loads(data)
        generations, shards = index["generations"], {s["name"] for s in index["shards"]}
    except (ValueError, KeyError, TypeError):
        generations, shards = None, set()
    if generations is None or generations != corpus.generations[: len(generations)]:
        if not replace:
            raise UserError(
                f"{target.where} holds another corpus than this one or its beginnings; choose another address, or --replace"
            )
        return set()
    return {p.name for p in corpus.pieces if p.generation is not None and p.name.rsplit(".", 1)[0] in shards}


def _named(pieces: Sequence[Piece]) -> str:
    return pieces[0].name if len(pieces) == 1 else f"{pieces[0].name} ... {pieces[-1].name}"
