"""Derived columns beside a finished corpus, read with it by key: embeddings, metrics, stems, transcripts.

out/overlays/NAME/train/train-000000.tar       KEY.embedding.npy KEY.words.json ... the keys of the base's shard, in its order
                  train/train-000000.parquet   key, members and checksums, as in the base
                  train/train-000000.json      commit marker: of which base shard, by which function
                  index.json                   written when every shard is there
"""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import pyarrow.parquet as pq

from stylefx.corpus.samples.table import SampleRef
from stylefx.errors import DamageError, UserError

FORMAT, VERSION = "stylefx-overlay", 1
FOLDER = "overlays"


class Base(Protocol):
    """What is needed of an open corpus."""

    store: Any

    @property
    def shards(self) -> Sequence[Any]: ...


class Overlay:
    """One overlay of an open corpus. ``corpus.overlay(name).read(ref)`` -> {"embedding.npy": array, ...}."""

    def __init__(self, corpus: Base, name: str):
        self.name, self._corpus, self._place = name, corpus, f"{FOLDER}/{name}"
        text = corpus.store.find_text(f"{self._place}/index.json")
        if text is None:
            raise UserError(f"{corpus.store} has no finished overlay {name!r}; make it with stylefx-pipe overlay")
        try:
            index = json.loads(text)
            self._shards = {str(s["name"]): s for s in index["shards"]}
            known = (index["format"], index["version"]) == (FORMAT, VERSION)
        except (ValueError, KeyError, TypeError):
            known = False
        if not known:
            raise DamageError(f"{self._place}/index.json of {corpus.store} is no {FORMAT} of version {VERSION}; make it again")
        for shard in corpus.shards:
            if self._shards.get(shard.name, {}).get("base_sha256") != shard.sha256:
                raise UserError(
                    f"the overlay {name!r} of {corpus.store} is not of its shard {shard.name}; run stylefx-pipe overlay again"
                )
        self._rows: dict[str, dict[str, dict[str, Any]]] = {}

    def read(self, ref: SampleRef) -> dict[str, Any]:
        """What the overlay holds of a sample: .npy as arrays, .json as values, .txt as text, the rest as bytes."""
        return {suffix: decode_member(suffix, data) for suffix, data in self.members(ref).items()}

    def members(self, ref: SampleRef) -> dict[str, bytes]:
        """The same as bytes; DamageError where they are not those that were written."""
        row = self._table(ref.shard).get(ref.key)
        if row is None:
            raise DamageError(f"{self._place}/{ref.shard}.parquet lacks the sample {ref.key}; run stylefx-pipe verify")
        spans, checks = json.loads(row["members"]), json.loads(row["crc32"])
        path = self._corpus.store.path(f"{self._place}/{ref.shard}.tar", self._shards[ref.shard]["sha256"])
        out = {}
        with open(path, "rb") as file:
            for suffix, (offset, size) in spans.items():
                file.seek(offset)
                out[suffix] = file.read(size)
                if zlib.crc32(out[suffix]) != checks[suffix]:
                    raise DamageError(f"{path} is damaged at {ref.key}.{suffix}; run stylefx-pipe verify")
        return out

    def _table(self, shard: str) -> dict[str, dict[str, Any]]:
        if shard not in self._rows:
            path = self._corpus.store.path(f"{self._place}/{shard}.parquet", self._shards[shard]["parquet_sha256"])
            self._rows = {shard: {row["key"]: row for row in pq.read_table(path).to_pylist()}}  # a loader stays near one shard
        return self._rows[shard]


def encode_member(suffix: str, value: Any) -> tuple[str, bytes]:
    """(suffix with its ending, bytes): arrays become .npy, bytes stay, text becomes .txt, everything else .json."""

    def named(ending: str) -> str:
        return suffix if "." in suffix else f"{suffix}.{ending}"

    if isinstance(value, bytes):
        return named("bin"), value
    if isinstance(value, np.ndarray):
        buffer = io.BytesIO()
        np.save(buffer, value, allow_pickle=False)
        return named("npy"), buffer.getvalue()
    if isinstance(value, str):
        return named("txt"), value.encode()
    return named("json"), json.dumps(value, sort_keys=True, allow_nan=False).encode()


def decode_member(suffix: str, data: bytes) -> Any:
    if suffix.endswith(".npy"):
        return np.load(io.BytesIO(data), allow_pickle=False)
    if suffix.endswith(".json"):
        return json.loads(data)
    return data.decode() if suffix.endswith(".txt") else data
