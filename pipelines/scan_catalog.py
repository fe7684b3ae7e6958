"""The catalog file: one row per recording, in the order of the listing; written as a stream, read back by row."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.activity import Measures
from pipelines.parquet_file import AtomicParquet
from pipelines.sources import Found
from stylefx.errors import UserError
from stylefx.keyed import digest, hex_digest

CATALOG_FORMAT = 1
_ROWS = 8192
_TRACK_BYTES = 32 * 2**20

SCHEMA = pa.schema(
    [
        ("source", pa.string()),
        ("path", pa.string()),
        ("group", pa.string()),
        ("label", pa.string()),
        ("licence", pa.string()),
        ("attribution", pa.string()),
        ("size", pa.int64()),
        ("mtime_ns", pa.int64()),
        ("identity", pa.uint64()),  # keyed hash of source/path
        ("sha256", pa.binary(32)),  # of the file's bytes
        ("content", pa.binary(16)),  # of the decoded samples
        ("sample_rate", pa.int32()),
        ("channels", pa.int32()),
        ("frames", pa.int64()),
        ("lufs", pa.float32()),
        ("peak_dbfs", pa.float32()),
        ("dc", pa.float32()),
        ("clipping_share", pa.float32()),
        ("silence_share", pa.float32()),
        ("correlation", pa.float32()),
        ("bandwidth_hz", pa.float32()),
        ("active_mask", pa.int64()),
        ("window_frames", pa.int32()),
        ("activity", pa.binary()),
        ("error", pa.string()),
    ]
)


def identity_hash(source: str, path: str) -> int:
    """64 bits that stand for a recording wherever an order or a join must not depend on its place in a list."""
    return int.from_bytes(digest("recording", f"{source}/{path}", size=8), "little")


def measured_row(found: Found, sha256: str, measures: Measures | None, error: str = "") -> dict:
    """A row of the catalog; ``measures`` None where it could not be read."""
    row = {
        "source": found.source,
        "path": found.path,
        "group": found.group,
        "label": found.label,
        "licence": found.licence,
        "attribution": found.attribution,
        "size": found.size,
        "mtime_ns": found.mtime_ns,
        "identity": identity_hash(found.source, found.path),
        "sha256": bytes.fromhex(sha256) if sha256 else bytes(32),
        "error": error,
    }
    if measures is None:
        empty = dict.fromkeys(("sample_rate", "channels", "frames", "active_mask", "window_frames"), 0)
        nan = dict.fromkeys(
            ("lufs", "peak_dbfs", "dc", "clipping_share", "silence_share", "correlation", "bandwidth_hz"), float("nan")
        )
        return row | empty | nan | {"content": bytes(16), "activity": b""}
    return row | {**vars(measures), "activity": measures.activity.tobytes()}


class CatalogWriter:
    """Append rows, then ``publish``; what was not published leaves nothing behind."""

    def __init__(self, path: str | Path, sources_digest: str):
        meta = json.dumps({"format": CATALOG_FORMAT, "sources": sources_digest})
        self._file = AtomicParquet(path, SCHEMA.with_metadata({"stylefx_catalog": meta}))
        self._rows: list[dict] = []
        self._bytes = 0

    def add(self, row: dict) -> None:
        self._rows.append(row)
        self._bytes += len(row["activity"])
        if len(self._rows) >= _ROWS or self._bytes >= _TRACK_BYTES:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            self._file.write(pa.Table.from_pylist(self._rows, schema=SCHEMA))
        self._rows, self._bytes = [], 0

    def publish(self) -> None:
        self._flush()
        self._file.publish()

    def discard(self) -> None:
        self._file.discard()


@contextmanager
def reading(path: str | Path, cure: str) -> Iterator[None]:
    """Turn what goes wrong while a parquet file is read into one sentence."""
    try:
        yield
    except FileNotFoundError:
        raise UserError(f"there is no {path}; {cure}") from None
    except (OSError, pa.ArrowException, ValueError, TypeError, KeyError, OverflowError, MemoryError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(f"{path} is damaged or no such file as it should be ({reason}); {cure}") from error


def open_catalog(path: str | Path) -> pq.ParquetFile:
    """UserError for what is no catalog of this version. What is read from it is checked against page checksums."""
    with reading(path, "scan again with `stylefx-pipe scan`"):
        file = pq.ParquetFile(path, page_checksum_verification=True)
    if catalog_meta(file).get("format") != CATALOG_FORMAT or not file.schema_arrow.equals(SCHEMA):
        raise UserError(f"{path} is no catalog of format {CATALOG_FORMAT}; scan again")
    return file


def catalog_meta(file: pq.ParquetFile) -> dict:
    try:
        meta = json.loads((file.schema_arrow.metadata or {}).get(b"stylefx_catalog", b"{}"))
    except ValueError:
        return {}
    return meta if isinstance(meta, dict) else {}


class PreviousRows:
    """The measured part of an earlier catalog's rows, found by identity; few row groups are in memory at a time."""

    def __init__(self, path: str | Path):
        self._file, self._path = open_catalog(path), path
        with reading(path, "scan again without it"):
            groups = range(self._file.num_row_groups)
            hashes = [self._file.read_row_group(g, columns=["identity"]).column(0).to_numpy() for g in groups]
        self._starts = np.concatenate([[0], np.cumsum([len(h) for h in hashes])]).astype(np.int64)
        everything = np.concatenate(hashes) if hashes else np.empty(0, np.uint64)
        self._order = np.argsort(everything, kind="stable")
        self._sorted = everything[self._order]
        self._loaded: tuple[int, list[dict]] = (-1, [])

    def find(self, found: Found) -> dict | None:
        """The earlier row where source, path, size and time are still the same and it was readable."""
        key = np.uint64(identity_hash(found.source, found.path))
        at = int(np.searchsorted(self._sorted, key))
        if at >= len(self._sorted) or self._sorted[at] != key:
            return None
        row = self._row(int(self._order[at]))
        same = (row["source"], row["path"], row["size"], row["mtime_ns"]) == (
            found.source, found.path, found.size, found.mtime_ns
        )  # fmt: skip
        return row if same and not row["error"] and found.mtime_ns else None

    def _row(self, index: int) -> dict:
        group = int(np.searchsorted(self._starts, index, side="right")) - 1
        if self._loaded[0] != group:
            with reading(self._path, "scan again without it"):
                self._loaded = (group, self._file.read_row_group(group).to_pylist())
        return self._loaded[1][index - int(self._starts[group])]


def sources_digest(manifest) -> str:
    """Digest of what the catalog's contents follow from, besides the files themselves."""
    data = [s.model_dump_json(exclude={"path", "root", "weight", "split", "url"}) for s in manifest.sources]
    return hex_digest("sources", *data)
