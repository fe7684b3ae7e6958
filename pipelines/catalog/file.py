"""The catalog file: one row per recording, in the order of the listing; written as a stream, read back by row."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.catalog.measure import Measures
from pipelines.manifest.model import Manifest
from pipelines.sources.listing import Found
from pipelines.storage.parquet import AtomicParquet
from stylefx.errors import IncompleteError, UserError
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
        ("damage", pa.string()),  # what is wrong with a recording that is used all the same, and what was kept of it
        ("metadata", pa.string()),  # JSON object of texts, or empty
        ("target", pa.string()),  # the recording after somebody's work, relative as path is
        ("fingerprint", pa.binary()),  # see catalog.landmarks; empty where none was wanted
        ("near", pa.string()),  # identity that stands for all recordings of the same audio; empty where it is alone
        ("target_sha256", pa.binary(32)),  # of the target's bytes; zeros where there is none
    ]
)

#: columns that came later: an older catalog is read as if they were empty
LATER = {"damage": "", "metadata": "", "target": "", "fingerprint": b"", "near": "", "target_sha256": bytes(32)}


def identity_hash(source: str, path: str) -> int:
    """64 bits that stand for a recording wherever an order or a join must not depend on its place in a list."""
    return int.from_bytes(digest("recording", f"{source}/{path}", size=8), "little")


def measured_row(
    found: Found, sha256: str, measures: Measures | None, error: str = "", damage: str = "", target_sha256: str = ""
) -> dict[str, Any]:
    """A row of the catalog; ``measures`` None where it could not be read."""
    row = LATER | {
        "damage": damage,
        "metadata": metadata_text(found),
        "target": found.target,
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
        "target_sha256": bytes.fromhex(target_sha256) if target_sha256 else bytes(32),
        "error": error,
    }
    if measures is None:
        empty = dict.fromkeys(("sample_rate", "channels", "frames", "active_mask", "window_frames"), 0)
        nan = dict.fromkeys(
            ("lufs", "peak_dbfs", "dc", "clipping_share", "silence_share", "correlation", "bandwidth_hz"), float("nan")
        )
        return row | empty | nan | {"content": bytes(16), "activity": b""}
    return row | {**vars(measures), "activity": measures.activity.tobytes()}


def metadata_text(found: Found) -> str:
    """What else is known of a recording, as the catalog holds it."""
    return json.dumps(dict(sorted(found.metadata.items())), ensure_ascii=False) if found.metadata else ""


class CatalogWriter:
    """Append rows, then ``publish``; what was not published leaves nothing behind."""

    def __init__(self, path: str | Path, sources_digest: str):
        meta = json.dumps({"format": CATALOG_FORMAT, "sources": sources_digest})
        self._path = Path(path)
        self._file = AtomicParquet(path, SCHEMA.with_metadata({"stylefx_catalog": meta}))
        self._rows: list[dict[str, Any]] = []
        self._bytes = 0

    def add(self, row: dict[str, Any]) -> None:
        self._rows.append(row)
        self._bytes += len(row["activity"]) + len(row["fingerprint"])
        if len(self._rows) >= _ROWS or self._bytes >= _TRACK_BYTES:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            self._file.write(pa.Table.from_pylist(self._rows, schema=SCHEMA))
        self._rows, self._bytes = [], 0

    def publish(self, near: Mapping[int, str] | None = None) -> None:
        """Let the catalog appear. ``near``: number of a row -> what stands for its audio, known only when all rows are there."""
        self._flush()
        self._file.publish(rewrite=None if not near else lambda table, first: _with_near(table, first, near))

    def discard(self) -> None:
        self._file.discard()


def _with_near(table: pa.Table, first: int, near: Mapping[int, str]) -> pa.Table:
    names = pa.array([near.get(first + i, "") for i in range(table.num_rows)], pa.string())
    return table.set_column(table.schema.get_field_index("near"), "near", names)


@contextmanager
def reading(path: str | Path, cure: str) -> Iterator[None]:
    """Turn what goes wrong while a parquet file is read into one sentence."""
    try:
        yield
    except FileNotFoundError:
        raise UserError(f"there is no {path}; {cure}") from None
    except OSError as error:
        if error.errno is None:  # how pyarrow says that a file is damaged
            raise _damaged(path, error, cure) from error
        raise IncompleteError(
            f"reading {path} failed ({error.strerror or error}); mend the disk and run the same command again"
        ) from error
    except (pa.ArrowException, ValueError, TypeError, KeyError, OverflowError, MemoryError) as error:
        raise _damaged(path, error, cure) from error


def _damaged(path: str | Path, error: Exception, cure: str) -> UserError:
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    return UserError(f"{path} is damaged or no such file as it should be ({reason}); {cure}")


def open_catalog(path: str | Path) -> pq.ParquetFile:
    """UserError for what is no catalog of this version. What is read from it is checked against page checksums."""
    with reading(path, "scan again with `stylefx-pipe scan`"):
        file = pq.ParquetFile(path, page_checksum_verification=True)
    known = [field for field in SCHEMA if field.name in file.schema_arrow.names or field.name not in LATER]
    if catalog_meta(file).get("format") != CATALOG_FORMAT or not file.schema_arrow.equals(pa.schema(known)):
        raise UserError(f"{path} is no catalog of format {CATALOG_FORMAT}; scan again")
    return file


def catalog_meta(file: pq.ParquetFile) -> dict[str, Any]:
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
        self._loaded: tuple[int, list[dict[str, Any]]] = (-1, [])

    def find(self, found: Found, fingerprinted: bool) -> dict[str, Any] | None:
        """The earlier row where source, path, size and time are still the same and it was readable. ``fingerprinted``: only
        one that has a fingerprint. One with a target is measured anew: nothing here says whether that changed."""
        key = np.uint64(identity_hash(found.source, found.path))
        at = int(np.searchsorted(self._sorted, key))
        if at >= len(self._sorted) or self._sorted[at] != key:
            return None
        row = LATER | self._row(int(self._order[at]))
        if fingerprinted and not row["fingerprint"] and row["frames"]:
            return None
        same = (row["source"], row["path"], row["size"], row["mtime_ns"]) == (
            found.source, found.path, found.size, found.mtime_ns
        )  # fmt: skip
        if not same or row["error"] or not found.mtime_ns or found.target or row["target"]:
            return None
        return row

    def _row(self, index: int) -> dict[str, Any]:
        group = int(np.searchsorted(self._starts, index, side="right")) - 1
        if self._loaded[0] != group:
            with reading(self._path, "scan again without it"):
                self._loaded = (group, self._file.read_row_group(group).to_pylist())
        return self._loaded[1][index - int(self._starts[group])]


def sources_digest(manifest: Manifest) -> str:
    """Digest of what the catalog's contents follow from, besides the files themselves."""
    free = {"path", "root", "weight", "split", "url"}
    kept = [{k: v for k, v in s.to_dict().items() if k not in free} for s in manifest.sources]
    data = [json.dumps(k, separators=(",", ":"), ensure_ascii=False) for k in kept]
    return hex_digest("sources", *data)
