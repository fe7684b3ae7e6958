"""Looking at a corpus, local or in an object store, finished or half built: what was committed, sample by sample."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.catalog.file import LATER
from pipelines.plan.file import read_meta
from pipelines.storage.open import open_storage
from stylefx.corpus.schema import CORPUS_FILE, FORMAT, INDEX_FILE, STATUS_OK, plan_file
from stylefx.errors import CorpusNotFound, DamageError, UserError

_SHARD = re.compile(r"(train|val|test)/\1-[0-9]{6,}")


class CorpusView:
    """What a corpus holds. Only shards with a sidecar count: the others were never committed."""

    def __init__(self, uri: str):
        self.storage = open_storage(uri)
        if not self.storage.exists(CORPUS_FILE):
            raise CorpusNotFound(f"{self.where} has no {CORPUS_FILE}, so it is no corpus; give the folder that `build` wrote")
        self.description = self._json(CORPUS_FILE)
        if self.description.get("format") != FORMAT:
            raise CorpusNotFound(f"{self.where}/{CORPUS_FILE} is not of format {FORMAT}; give the folder that `build` wrote")

    @property
    def where(self) -> str:
        return self.storage.where

    @property
    def manifest(self) -> dict[str, Any]:
        return cast("dict[str, Any]", self.description["manifest"])

    @cached_property
    def files(self) -> dict[str, int]:
        """Names and sizes, one listing."""
        return self.storage.list()

    @cached_property
    def index(self) -> dict[str, Any] | None:
        """index.json, or None while the corpus is unfinished."""
        return self._json(INDEX_FILE) if INDEX_FILE in self.files else None

    def just_indexed(self, index: dict[str, Any]) -> None:
        """Know what whoever has written ``index`` knows: the listing of an object store may not show it yet."""
        known = {INDEX_FILE: 0} | {plan_file(generation["number"]): 0 for generation in index["generations"]}
        for shard in index["shards"]:
            sizes = {"tar": shard["bytes"], "parquet": shard["parquet_bytes"], "json": 0}
            known |= {f"{shard['name']}.{suffix}": size for suffix, size in sizes.items()}
        self.index, self.files = index, known | self.files

    @cached_property
    def sidecars(self) -> dict[str, str]:
        """Shard name -> file name of its sidecar."""
        found: dict[str, str] = {}
        for name in sorted(self.files):
            match = _SHARD.match(name)
            if match and name.endswith(".json"):
                found[match.group()] = name
        return found

    def sidecar(self, shard: str) -> dict[str, Any]:
        return self._json(self.sidecars[shard])

    def rows(self, columns: Sequence[str] | None = None) -> Iterator[dict[str, Any]]:
        """Every planned sample of every committed shard; "shard" names its shard."""
        for shard in self.sidecars:
            yield from self.shard_rows(shard, columns)

    def shard_rows(self, shard: str, columns: Sequence[str] | None = None) -> list[dict[str, Any]]:
        table = self._parquet(f"{shard}.parquet", columns)
        return [{**row, "shard": shard} for row in table.to_pylist()]

    def find(self, key: str) -> dict[str, Any]:
        """The row of one sample; UserError when no committed shard has it."""
        for shard in self.sidecars:
            keys = self._parquet(f"{shard}.parquet", ["key"]).column("key").to_pylist()
            if key in keys:
                row: int = keys.index(key)
                return self.shard_rows(shard)[row]
        raise UserError(f"{self.where} has no sample {key!r}; `inspect` without a key shows one at random")

    def member(self, row: dict[str, Any], name: str) -> bytes:
        """The bytes of one member of a sample, for example "a.input.flac" or "json"."""
        members = json.loads(row["members"]) if isinstance(row["members"], str) else row["members"]
        if name not in members:
            raise UserError(f"{row['key']} has no {name!r}; it has {', '.join(members) or 'nothing: it is ' + row['status']}")
        offset, size = members[name]
        return self.storage.read(f"{row['shard']}.tar", offset, offset + size)

    def document(self, row: dict[str, Any]) -> dict[str, Any] | None:
        """The sample's JSON; None for a sample that was not written."""
        if row["status"] != STATUS_OK:
            return None
        try:
            return cast("dict[str, Any]", json.loads(self.member(row, "json")))
        except ValueError as error:
            raise DamageError(
                f"{row['shard']}.tar is damaged at {row['key']}.json ({error}); run `stylefx-pipe verify`"
            ) from error

    def audio_members(self, row: dict[str, Any]) -> list[str]:
        members = json.loads(row["members"]) if isinstance(row["members"], str) else row["members"]
        return [m for m in members if m != "json"]

    def catalog(self, columns: Sequence[str] | None = None) -> pa.Table:
        """The catalogs of all generations, one table."""
        return self._tables("catalog-", columns)

    def plan(self, columns: Sequence[str] | None = None) -> pa.Table:
        return self._tables("plan-", columns)

    def rejected(self) -> dict[str, tuple[int, list[str]]]:
        """What planning left out (recordings, joined clips, segments) over all generations: reason -> (count, examples)."""
        out: dict[str, tuple[int, list[str]]] = {}
        for name in sorted(n for n in self.files if n.startswith("plan-") and n.endswith(".parquet")):
            summary = read_meta(pq.ParquetFile(io.BytesIO(self.storage.read(name)))).get("summary", {})
            for reason, count in summary.get("rejected", {}).items():
                before, examples = out.get(reason, (0, []))
                out[reason] = (before + count, [*examples, *summary.get("examples", {}).get(reason, [])][:3])
        return out

    def _tables(self, prefix: str, columns: Sequence[str] | None) -> pa.Table:
        names = sorted(n for n in self.files if n.startswith(prefix) and n.endswith(".parquet"))
        if not names:
            raise UserError(f"{self.where} has no {prefix}0000.parquet; finish the build, or run `stylefx-pipe verify`")
        return pa.concat_tables([self._parquet(n, columns) for n in names], promote_options="default")

    def _parquet(self, name: str, columns: Sequence[str] | None) -> pa.Table:
        try:
            file = pq.ParquetFile(io.BytesIO(self.storage.read(name)))
            there = file.schema_arrow.names
            return file.read(columns=[c for c in columns if c in there or c not in LATER] if columns else None)
        except pa.ArrowInvalid as error:
            raise DamageError(f"{self.where}/{name} is damaged ({error}); run `stylefx-pipe verify`") from error

    def _json(self, name: str) -> dict[str, Any]:
        try:
            return cast("dict[str, Any]", json.loads(self.storage.read(name)))
        except ValueError as error:
            raise DamageError(f"{self.where}/{name} is not JSON ({error}); run `stylefx-pipe verify`") from error
