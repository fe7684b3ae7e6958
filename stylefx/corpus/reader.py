"""Random access to a corpus: its samples by split, their audio by byte offset in plain tars, their metadata.

Shard tables are read when first needed and kept in a bounded cache, so that opening a corpus costs one small file.
"""

from __future__ import annotations

import io
import json
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import soundfile as sf

from stylefx.corpus.remote import RemoteStore, is_url
from stylefx.corpus.schema import FORMAT, FORMAT_VERSION, INDEX_FILE, STATUS_OK
from stylefx.corpus.store import LocalStore
from stylefx.errors import DamageError, UserError

_TABLES_KEPT = 256
_FILES_KEPT = 64
_COLUMNS = ["key", "source", "group", "label", "status", "members"]


@dataclass(frozen=True)
class SampleRef:
    """One sample: its place (``shard`` is the shard's name, ``row`` counts the shard's usable samples) and its labels."""

    key: str
    shard: str
    row: int
    label: str | None
    group: str
    source: str
    members: dict[str, tuple[int, int]]


@dataclass(frozen=True)
class Shard:
    """One shard as index.json lists it; ``samples`` counts the usable ones."""

    name: str
    split: str
    generation: int
    samples: int
    bytes: int
    sha256: str
    parquet_sha256: str


def decode(data: bytes, start: int = 0, frames: int = -1) -> np.ndarray:
    """FLAC or WAV bytes -> float32 (channels, frames); ``frames`` -1 reads to the end."""
    with sf.SoundFile(io.BytesIO(data)) as sound:
        if start:
            sound.seek(start)
        return np.ascontiguousarray(sound.read(frames, dtype="float32", always_2d=True).T)


class _Files:
    """Open file descriptors, a bounded number; ``read`` is safe from several threads and after a fork."""

    def __init__(self) -> None:
        self._open: OrderedDict[Path, int] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, locate: Callable[[], Path], spans: Sequence[tuple[int, int]]) -> list[bytes]:
        try:
            fd = self._duplicate(locate())
        except FileNotFoundError:  # another process removed it from a shared cache just now
            fd = self._duplicate(locate())
        try:
            return [os.pread(fd, size, offset) for offset, size in spans]
        finally:
            os.close(fd)

    def _duplicate(self, path: Path) -> int:
        """A descriptor of our own: the file stays readable while another thread evicts the cached one."""
        with self._lock:
            if path not in self._open:
                self._open[path] = os.open(path, os.O_RDONLY)
                if len(self._open) > _FILES_KEPT:
                    os.close(self._open.popitem(last=False)[1])
            self._open.move_to_end(path)
            return os.dup(self._open[path])

    def close(self) -> None:
        with self._lock:
            while self._open:
                os.close(self._open.popitem()[1])


class Corpus:
    """A finished corpus. Made by ``open_corpus``; reading is safe from several threads."""

    def __init__(self, store: Any, index: dict[str, Any], generations: Iterable[int] | None = None):
        self.store, self.index = store, index
        self.sample_rate = int(index["sample_rate"])
        self.channels = int(index["channels"])
        self.half_frames = int(index["half_frames"])
        self.extras = str(index.get("store", "default"))
        known = {int(g["number"]): str(g["digest"]) for g in index["generations"]}
        wanted = set(known if generations is None else generations)
        if not wanted <= set(known):
            raise UserError(f"{store} has the generations {sorted(known)}, not {sorted(wanted - set(known))}")
        self.generations = {number: known[number] for number in sorted(wanted)}
        fields = Shard.__dataclass_fields__
        shards = [Shard(**{f: entry[f] for f in fields}) for entry in index["shards"]]
        self.shards = sorted((s for s in shards if s.generation in wanted), key=lambda s: (s.generation, s.name))
        self._by_name = {s.name: s for s in self.shards}
        self._tables: OrderedDict[str, list[SampleRef]] = OrderedDict()
        self._lock = threading.Lock()
        self._files = _Files()

    @property
    def splits(self) -> list[str]:
        return sorted({s.split for s in self.shards})

    def shards_of(self, split: str) -> list[Shard]:
        """The split's shards in the order of (generation, name); UserError for a split that is not there."""
        found = [s for s in self.shards if s.split == split]
        if not found:
            raise UserError(f"{self.store} has no split {split!r}; it has {', '.join(self.splits) or 'none'}")
        return found

    def table(self, shard: str) -> list[SampleRef]:
        """The usable samples of a shard, in the order of its rows."""
        with self._lock:
            if shard in self._tables:
                self._tables.move_to_end(shard)
                return self._tables[shard]
        refs = self._load_table(self._by_name[shard])
        with self._lock:
            self._tables[shard] = refs
            if len(self._tables) > _TABLES_KEPT:
                self._tables.popitem(last=False)
        return refs

    def _load_table(self, shard: Shard) -> list[SampleRef]:
        path = self.store.path(f"{shard.name}.parquet", shard.parquet_sha256)
        rows = [r for r in pq.read_table(path, columns=_COLUMNS).to_pylist() if r["status"] == STATUS_OK]
        if len(rows) != shard.samples:
            raise DamageError(f"{path} lists {len(rows)} usable samples, the index {shard.samples}; build the shard again")
        return [
            SampleRef(
                row["key"], shard.name, i, row["label"], row["group"], row["source"],
                {name: (int(at), int(size)) for name, (at, size) in json.loads(row["members"]).items()},
            )
            for i, row in enumerate(rows)
        ]  # fmt: skip

    def samples(self, split: str) -> list[SampleRef]:
        """All usable samples of a split, in corpus order."""
        return [ref for shard in self.shards_of(split) for ref in self.table(shard.name)]

    def _bytes(self, ref: SampleRef, names: Sequence[str]) -> list[bytes]:
        shard = self._by_name[ref.shard]
        spans = [ref.members[name] for name in names]
        return self._files.read(lambda: self.store.path(f"{shard.name}.tar", shard.sha256), spans)

    def read(self, ref: SampleRef, names: Sequence[str], start: int = 0, frames: int = -1) -> dict[str, np.ndarray]:
        """The named halves, such as "a.input", as float32 (channels, samples); optionally only ``frames`` from ``start``."""
        members = []
        for name in names:
            found = [m for m in ref.members if m.rsplit(".", 1)[0] == name]
            if not found:
                raise UserError(f"{ref.key} in {ref.shard} of {self.store} has no {name!r}; it has {', '.join(ref.members)}")
            members.append(found[0])
        out = {}
        for name, data in zip(names, self._bytes(ref, members), strict=True):
            try:
                out[name] = decode(data, start, frames)
            except sf.LibsndfileError as error:
                raise DamageError(
                    f"{ref.shard}.tar of {self.store} is damaged at {ref.key}.{name} ({error}); run stylefx-pipe verify"
                ) from error
        return out

    def metadata(self, ref: SampleRef) -> dict[str, Any]:
        """The sample's JSON: recipe, gains, metrics, provenance."""
        data = self._bytes(ref, ["json"])[0]
        try:
            return json.loads(data)
        except ValueError as error:
            raise DamageError(f"{ref.shard}.tar of {self.store} is damaged at {ref.key}.json; run stylefx-pipe verify") from error

    def close(self) -> None:
        self._files.close()
        self.store.close()


def open_corpus(
    path: str | Path,
    generations: Iterable[int] | None = None,
    cache: str | Path | None = None,
    cache_bytes: int = 50 * 10**9,
) -> Corpus:
    """Open a finished corpus; ``generations`` limits it to those numbers.

    ``path`` may be a URL that fsspec reads (s3://, http://, ...): shards are then kept in the folder ``cache``, at most
    ``cache_bytes`` of them, which all processes of a node share.

    Raises UserError when there is no index.json (the build has not finished) or the format is not ours.
    """
    if is_url(path):
        store = RemoteStore(str(path), Path(cache) if cache else None, cache_bytes)
    else:
        store = LocalStore(path)
    if not store.exists(INDEX_FILE):
        raise UserError(
            f"{path} has no {INDEX_FILE}: it is not a finished corpus; finish it with stylefx-pipe build, or fix the path"
        )
    try:
        index = json.loads(store.text(INDEX_FILE))
    except ValueError as error:
        raise DamageError(f"{path}/{INDEX_FILE} is not JSON ({error}); finalise the corpus again") from error
    if index.get("format") != FORMAT or index.get("version") != FORMAT_VERSION:
        raise UserError(
            f"{path} is {index.get('format')!r} version {index.get('version')!r}; this reader knows {FORMAT} {FORMAT_VERSION}"
        )
    return Corpus(store, index, generations)
