"""One shard of an overlay: a function's answer for every sample of a base shard, in its order, as a tar of the same keys."""

from __future__ import annotations

import functools
import hashlib
import importlib
import inspect
import json
import os
import sys
import uuid
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.corpus.tar import TarWriter
from pipelines.storage.open import open_storage
from pipelines.workers.crew import become_worker
from pipelines.workers.executor import reported
from stylefx.corpus.reader import Corpus, open_corpus
from stylefx.corpus.samples.overlay import encode_member
from stylefx.corpus.samples.table import SampleRef
from stylefx.errors import StylefxError, UserError
from stylefx.files.sentences import explained

if TYPE_CHECKING:
    import numpy as np

SIDECAR = "stylefx-overlay-shard"


@dataclass(frozen=True)
class OverlayTask:
    """A base shard to map; small, and free of credentials."""

    name: str
    corpus: str
    out: str
    function: str
    digest: str
    base_sha256: str
    builder: str


class MappedSample:
    """What the function is given: a sample of the base."""

    def __init__(self, corpus: Corpus, ref: SampleRef):
        self._corpus, self._ref = corpus, ref
        self.key, self.label, self.group, self.source = ref.key, ref.label, ref.group, ref.source
        self.sample_rate = corpus.sample_rate
        self.names = tuple(member.rsplit(".", 1)[0] for member in ref.members if member != "json")

    def audio(self, name: str) -> np.ndarray:
        """A half such as "a.input" as float32 (channels, samples)."""
        return self._corpus.read(self._ref, [name])[name]

    @property
    def metadata(self) -> dict[str, Any]:
        """The sample's JSON."""
        return self._corpus.metadata(self._ref)


def load_function(name: str) -> tuple[Callable[[MappedSample], Mapping[str, Any]], str]:
    """``package.module:function`` and a digest of its module's source; UserError where there is none."""
    module, colon, attribute = name.partition(":")
    if not colon or not module or not attribute:
        raise UserError(f"--map {name!r} names no function; write package.module:function")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        loaded = importlib.import_module(module)
        function = getattr(loaded, attribute)
        source = inspect.getsource(loaded)
    except (ImportError, AttributeError, OSError, TypeError) as error:
        raise UserError(f"--map {name} cannot be loaded ({error}); install it on all nodes, or run where it lies") from error
    return function, hashlib.sha256(f"{name}\n{source}".encode()).hexdigest()


@functools.lru_cache(maxsize=1)
def _corpus(address: str) -> Corpus:
    return open_corpus(address)


def run_overlay_task(task: OverlayTask) -> dict[str, Any]:
    """What executors call, in a worker. Never raises."""
    become_worker()
    return reported(lambda: _make(task))


def _make(task: OverlayTask) -> dict[str, Any]:
    function, digest = load_function(task.function)
    if digest != task.digest:
        raise UserError(f"{task.function} is another here than where the command runs; give all nodes the same one")
    corpus, storage = _corpus(task.corpus), open_storage(task.out)
    temporary = storage.scratch(task.builder) / f"{task.name.rpartition('/')[2]}.{uuid.uuid4().hex}.tar"
    beside, rows = temporary.with_suffix(".parquet"), []
    try:
        with explained(storage.where, f"{task.name}.tar"):
            with open(temporary, "wb", buffering=1 << 20) as file:
                tar = TarWriter(file)
                rows = [_row(tar, ref, _mapped(function, task.function, corpus, ref)) for ref in corpus.table(task.name)]
                sha256 = tar.finish()
            table = pa.Table.from_pylist(rows, schema=pa.schema({n: pa.string() for n in ("key", "members", "crc32")}))
            pq.write_table(table, beside, compression="zstd")
            parquet_sha256 = hashlib.sha256(beside.read_bytes()).hexdigest()
            storage.publish_together([(temporary, f"{task.name}.tar"), (beside, f"{task.name}.parquet")])
    finally:
        for path in (temporary, beside):
            Path(path).unlink(missing_ok=True)
    sidecar: dict[str, Any] = {"format": SIDECAR, "name": task.name, "function": task.function, "function_sha256": task.digest}
    sidecar |= {"base_sha256": task.base_sha256, "samples": len(rows), "bytes": tar.size, "sha256": sha256}
    sidecar |= {"parquet_sha256": parquet_sha256}
    storage.write(f"{task.name}.json", json.dumps(sidecar, indent=1).encode())
    return {"samples": len(rows)}


def _mapped(
    function: Callable[[MappedSample], Mapping[str, Any]], name: str, corpus: Corpus, ref: SampleRef
) -> Mapping[str, Any]:
    try:
        found = function(MappedSample(corpus, ref))
    except StylefxError:
        raise
    except Exception as error:
        raise UserError(
            f"{name} failed on the sample {ref.key}: {type(error).__name__}: {error}; mend it and run again"
        ) from error
    if not isinstance(found, Mapping):
        raise UserError(f"{name} gave a {type(found).__name__} for {ref.key}; return a dict of suffix and value")
    return found


def _row(tar: TarWriter, ref: SampleRef, found: Mapping[str, Any]) -> dict[str, str]:
    members, checks = {}, {}
    for suffix, value in found.items():
        try:
            name, data = encode_member(suffix, value)
            member = tar.add(f"{ref.key}.{name}", data)
        except (ValueError, TypeError) as error:
            raise UserError(f"{suffix!r} of the sample {ref.key} cannot be stored: {error}") from error
        members[name], checks[name] = [member.offset, member.size], zlib.crc32(data)
    return {"key": ref.key, "members": json.dumps(members), "crc32": json.dumps(checks)}
