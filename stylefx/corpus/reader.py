"""Random access to a corpus: its samples by split, their audio by byte offset in plain tars, their metadata.

Shard tables are read when first needed and kept in a bounded cache, so that opening a corpus costs one small file.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import threading
import zlib
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
import soundfile as sf

from stylefx.audio.flac import decode_flac
from stylefx.audio.levels import DEFAULT_LEVEL, LevelConvention
from stylefx.audio.wav import decode_wav
from stylefx.corpus.samples.overlay import Overlay
from stylefx.corpus.samples.table import COLUMNS, Floor, SampleRef, Shard, read_rows, sample_ref
from stylefx.corpus.schema import CORPUS_FILE, FORMAT, FORMAT_VERSION, INDEX_FILE
from stylefx.corpus.stores.local import LocalStore, OpenFiles
from stylefx.corpus.stores.remote import RemoteStore
from stylefx.errors import CorpusNotFound, DamageError, UserError
from stylefx.files.address import is_url
from stylefx.recipes.chains import Chains
from stylefx.recipes.corpora import chains_of, convention_of, drawing_of
from stylefx.recipes.draw import Drawing

_TABLES_KEPT = 256
_READ_SIDE_BY_SIDE = 16
T = TypeVar("T")


__all__ = ["Corpus", "Floor", "SampleRef", "Shard", "decode", "open_corpus"]


def decode(data: bytes, start: int = 0, frames: int = -1) -> np.ndarray:
    """FLAC or WAV bytes -> float32 (channels, frames); ``frames`` -1 reads to the end."""
    if own := decode_flac(data, start, frames) or decode_wav(data, start, frames):
        return own[0]
    with _opened(data) as sound:
        if start:
            sound.seek(start)
        return np.ascontiguousarray(sound.read(frames, dtype="float32", always_2d=True).T)


def _opened(data: bytes) -> sf.SoundFile:
    """A file in memory that the decoder reads by itself. A file object of Python's it would ask a hundred times per item, and
    every time wait for the interpreter's lock, which the threads that read and the one that trains want too."""
    if not hasattr(os, "memfd_create"):
        return sf.SoundFile(io.BytesIO(data))
    with open(os.memfd_create("stylefx-audio", os.MFD_CLOEXEC), "wb") as whole:
        whole.write(data)
        whole.seek(0)
        return sf.SoundFile(os.dup(whole.fileno()), closefd=True)  # which it closes, also where it finds no audio


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
        self._files = OpenFiles()

    def __reduce__(self) -> tuple[Any, ...]:
        """In another process it is opened again, of the same shards."""
        return type(self), (self.store, self.index, list(self.generations))

    @cached_property
    def _described(self) -> str | None:
        """corpus.json, which corpora of old do not have."""
        text: str | None = self.store.find_text(CORPUS_FILE)
        return text

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """The manifest that the corpus was built by, as corpus.json states it."""
        try:
            return dict(json.loads(self._described or "")["manifest"])
        except (ValueError, KeyError, TypeError) as error:
            raise DamageError(
                f"{CORPUS_FILE} of {self.store} states no manifest; restore it, or build the corpus again"
            ) from error

    @cached_property
    def _recipes(self) -> tuple[Chains, Drawing]:
        return chains_of(self.manifest), drawing_of(self.manifest)

    @cached_property
    def level(self) -> LevelConvention:
        """The level of its pairs; what it was before corpora said it where there is no corpus.json to ask."""
        return convention_of(*self._recipes) if self._described is not None else DEFAULT_LEVEL

    def recipe(self, ref: SampleRef) -> dict[str, Any]:
        """The sample's recipe, drawn again: for corpora of dry halves, whose samples state none."""
        chains, drawing = self._recipes
        return drawing.recipe(chains, ref.key, ref.label or "")

    @property
    def splits(self) -> list[str]:
        return sorted({s.split for s in self.shards})

    def floor(self, split: str) -> Floor | None:
        """What the format hides; None for a corpus that was finished before this was measured."""
        found = self.index.get("floors", {}).get(split)
        return None if found is None else Floor(int(found["samples"]), float(found["floor"]), found["distance"])

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
        name = f"{shard.name}.parquet"

        def read() -> list[dict[str, Any]]:
            path = self.store.path(name, shard.parquet_sha256)
            return read_rows(path, COLUMNS, str(path))

        rows = self._twice(name, shard.parquet_sha256, read)
        if len(rows) != shard.samples:
            where = f"{name} of {self.store}"
            raise DamageError(f"{where} lists {len(rows)} usable samples, the index {shard.samples}; build the shard again")
        return [sample_ref(row, shard.name, i) for i, row in enumerate(rows)]

    def _twice(self, name: str, sha256: str, read: Callable[[], T]) -> T:
        """Read; where that meets damage of a local copy, read a new one."""
        try:
            return read()
        except DamageError:
            if not self.store.renew(name, sha256):
                raise
        self._files.close()  # the damaged copy may be open
        return read()

    def samples(self, split: str) -> list[SampleRef]:
        """All usable samples of a split, in corpus order."""
        return [ref for shard in self.shards_of(split) for ref in self.table(shard.name)]

    def scan(self, split: str) -> Iterator[SampleRef]:
        """Like ``samples`` for who looks once: tables are read side by side, and those of a remote corpus are not kept."""

        def refs(shard: Shard) -> list[SampleRef]:
            with self._lock:
                if shard.name in self._tables:
                    return self._tables[shard.name]
            rows = self._rows_once(shard, COLUMNS)
            return [sample_ref(row, shard.name, i) for i, row in enumerate(rows)]

        for found in self._side_by_side(split, refs):
            yield from found

    def groups(self, split: str) -> set[str]:
        """The groups of a split's usable samples; reads one column of every table."""
        columns = ["group", "status"]
        return {row["group"] for rows in self._side_by_side(split, lambda s: self._rows_once(s, columns)) for row in rows}

    def _rows_once(self, shard: Shard, columns: Sequence[str]) -> list[dict[str, Any]]:
        name = f"{shard.name}.parquet"
        return read_rows(io.BytesIO(self.store.data(name, shard.parquet_sha256)), columns, f"{name} of {self.store}")

    def _side_by_side(self, split: str, read: Callable[[Shard], T]) -> Iterator[T]:
        """Of every shard of the split, in order; a few ahead."""
        with ThreadPoolExecutor(_READ_SIDE_BY_SIDE, thread_name_prefix="stylefx-tables") as pool:
            waiting: deque[Future[T]] = deque()
            for shard in self.shards_of(split):
                waiting.append(pool.submit(read, shard))
                if len(waiting) > 2 * _READ_SIDE_BY_SIDE:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    @cached_property
    def contents(self) -> str:
        """A digest of what the corpus holds, wherever it lies: of its shards' names, samples and checksums."""
        listed = "".join(f"{s.name} {s.samples} {s.sha256} {s.parquet_sha256}\n" for s in self.shards)
        return hashlib.sha256(listed.encode()).hexdigest()

    def _bytes(self, ref: SampleRef, names: Sequence[str]) -> list[bytes]:
        """The members' bytes, their checksums compared where the corpus has them."""
        shard = self._by_name[ref.shard]
        spans = [ref.members[name] for name in names]
        found = self._files.read(lambda: self.store.path(f"{shard.name}.tar", shard.sha256), spans)
        for name, data in zip(names, found, strict=True):
            if len(data) != ref.members[name][1] or (ref.crc32 and ref.crc32.get(name) != zlib.crc32(data)):
                raise self._damage(ref, name, "its checksum differs")
        return found

    def _damage(self, ref: SampleRef, name: str, reason: object) -> DamageError:
        return DamageError(f"{ref.shard}.tar of {self.store} is damaged at {ref.key}.{name} ({reason}); run stylefx-pipe verify")

    def _whole(self, ref: SampleRef, read: Callable[[], T]) -> T:
        shard = self._by_name[ref.shard]
        return self._twice(f"{shard.name}.tar", shard.sha256, read)

    def read(self, ref: SampleRef, names: Sequence[str], start: int = 0, frames: int = -1) -> dict[str, np.ndarray]:
        """The named halves, such as "a.input", as float32 (channels, samples); optionally only ``frames`` from ``start``.

        DamageError when the bytes are not those that were written; a damaged copy of a remote shard is fetched anew first.
        """
        members = []
        for name in names:
            found = [m for m in ref.members if m.rsplit(".", 1)[0] == name]
            if not found:
                raise UserError(f"{ref.key} in {ref.shard} of {self.store} has no {name!r}; it has {', '.join(ref.members)}")
            members.append(found[0])

        def decoded() -> dict[str, np.ndarray]:
            out = {}
            for name, data in zip(names, self._bytes(ref, members), strict=True):
                try:
                    out[name] = decode(data, start, frames)
                except sf.LibsndfileError as error:
                    raise self._damage(ref, name, error) from error
            return out

        return self._whole(ref, decoded)

    def member(self, ref: SampleRef, name: str) -> bytes:
        """The bytes of one member as they are stored, such as "a.input.flac"."""
        return self._bytes(ref, [name])[0]

    def metadata(self, ref: SampleRef) -> dict[str, Any]:
        """The sample's JSON: recipe, gains, metrics, provenance."""

        def document() -> dict[str, Any]:
            try:
                return cast("dict[str, Any]", json.loads(self._bytes(ref, ["json"])[0]))
            except ValueError as error:
                raise self._damage(ref, "json", error) from error

        return self._whole(ref, document)

    def overlay(self, name: str) -> Overlay:
        """Derived columns of its samples, made by `stylefx-pipe overlay`; UserError where there are none of this name."""
        return Overlay(self, name)

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

    Raises CorpusNotFound when there is no index.json (the build has not finished), UserError when the format is not ours.
    """
    if is_url(path):
        store: LocalStore | RemoteStore = RemoteStore(str(path), Path(cache) if cache else None, cache_bytes)
    else:
        store = LocalStore(path)
    text = store.find_text(INDEX_FILE)
    if text is None:
        raise CorpusNotFound(
            f"{path} has no {INDEX_FILE}: it is not a finished corpus; finish it with stylefx-pipe build, or fix the path"
        )
    try:
        index = json.loads(text)
    except ValueError as error:
        raise DamageError(f"{path}/{INDEX_FILE} is not JSON ({error}); finalise the corpus again") from error
    if index.get("format") != FORMAT or index.get("version") != FORMAT_VERSION:
        raise UserError(
            f"{path} is {index.get('format')!r} version {index.get('version')!r}; this reader knows {FORMAT} {FORMAT_VERSION}"
        )
    return Corpus(store, index, generations)
