"""The plan file: rows as Arrow tables, a digest per shard, one row group per shard."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.manifest import Manifest
from pipelines.plan_catalog import Coded, Recordings
from pipelines.plan_place import draw_augmentation
from pipelines.plan_tapes import Tapes
from stylefx.corpus.schema import SPLITS, sample_key, shard_name

PLAN_FORMAT = 1
_META = b"stylefx_plan"
_BATCH_ROWS = 1 << 16

PART = pa.struct(
    [
        ("path", pa.string()),
        ("sha256", pa.binary(32)),
        ("sample_rate", pa.int32()),
        ("channels", pa.int32()),
        ("active_mask", pa.int64()),
        ("start_frame", pa.int64()),
        ("num_frames", pa.int64()),
    ]
)
_TEXTS = ("source", "group", "label", "licence", "attribution")
SCHEMA = pa.schema(
    [
        ("key", pa.string()),
        *[(name, pa.string()) for name in _TEXTS],
        ("pitch_cents", pa.float64()),
        ("tempo", pa.float64()),
        ("read_frames", pa.int64()),
        ("parts", pa.list_(PART)),
    ]
)


class Rows:
    """Builds the plan's rows for segments; everything that all rows share is prepared once."""

    def __init__(self, manifest: Manifest, recordings: Recordings, tapes: Tapes):
        self.manifest, self.recordings, self.tapes = manifest, recordings, tapes
        self.rate = manifest.segment.sample_rate
        slugs = [sample_key(name, "0" * 16, 0)[: -len("-0000000000000000-00000")] for name in recordings.source.names]
        self._slug = pa.array(slugs, pa.string())
        self._names = {name: pa.array(getattr(recordings, name).names, pa.string()) for name in _TEXTS}

    def table(self, segments: np.ndarray, split: int) -> pa.Table:
        """SEGMENT (n,) of one split -> n rows."""
        first_row = self.tapes.member_row[self.tapes.first[segments["tape"]]]
        draws = draw_augmentation(self.manifest, segments["order"], np.full(len(segments), split, np.int8))
        columns = {name: self._names[name].take(pa.array(getattr(self.recordings, name).codes[first_row])) for name in _TEXTS}
        slug = self._slug.take(pa.array(self.recordings.source.codes[first_row]))
        index = pc.utf8_lpad(pa.array(segments["index"]).cast(pa.string()), 5, "0")
        columns["key"] = pc.binary_join_element_wise(slug, _hex(self.tapes.hash[segments["tape"]]), index, "-")
        columns["pitch_cents"], columns["tempo"] = pa.array(draws.pitch_cents), pa.array(draws.tempo)
        columns["read_frames"] = pa.array(draws.read_frames)
        columns["parts"] = self._parts(segments, draws.read_frames)
        return pa.table([columns[name] for name in SCHEMA.names], schema=SCHEMA)

    def _parts(self, segments: np.ndarray, read: np.ndarray) -> pa.Array:
        """Which frames of which recordings, in their own rates; rounded outwards, so that enough is read."""
        tapes, recordings = self.tapes, self.recordings
        start = tapes.begin[segments["tape"]] + segments["start"]
        end = start + read
        first = np.searchsorted(tapes.member_begin, start, side="right") - 1
        last = np.searchsorted(tapes.member_begin, end - 1, side="right") - 1
        counts = last - first + 1
        offsets = np.concatenate([[0], np.cumsum(counts)])
        member = np.repeat(first - offsets[:-1], counts) + np.arange(offsets[-1])
        row = tapes.member_row[member]
        begin = tapes.member_begin[member]
        local_start = np.maximum(np.repeat(start, counts), begin) - begin
        local_end = np.minimum(np.repeat(end, counts), tapes.member_begin[member + 1]) - begin
        rate, frames = recordings.sample_rate[row].astype(np.int64), recordings.frames[row]
        start_frame = local_start * rate // self.rate
        num_frames = np.minimum(-(-local_end * rate // self.rate) + 1, frames) - start_frame
        where = pa.array(row)
        fields = [
            recordings.path.take(where).cast(pa.string()),
            recordings.sha256.take(where),
            pa.array(recordings.sample_rate[row]),
            pa.array(recordings.channels[row]),
            pa.array(recordings.active_mask[row]),
            pa.array(start_frame),
            pa.array(num_frames),
        ]
        return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.StructArray.from_arrays(fields, fields=list(PART)))


def _hex(values: np.ndarray) -> pa.Array:
    """uint64 (n,) -> 16 hexadecimal digits each."""
    digits = np.frombuffer(b"0123456789abcdef", np.uint8)
    raw = np.ascontiguousarray(values.astype(">u8")).view(np.uint8).reshape(-1, 8)
    text = np.empty((len(values), 16), np.uint8)
    text[:, 0::2], text[:, 1::2] = digits[raw >> 4], digits[raw & 15]
    offsets = np.arange(len(values) + 1, dtype=np.int32) * 16
    return pa.StringArray.from_buffers(len(values), pa.py_buffer(offsets), pa.py_buffer(text))


def rows_digest(table: pa.Table) -> str:
    """Digest of rows, whatever their layout in memory or in a file (hex, 32 digits)."""
    h = hashlib.blake2b(digest_size=16)
    for name in table.column_names:
        h.update(name.encode() + b"\0")
        _hash_array(h, table[name].combine_chunks())
    return h.hexdigest()


def _hash_array(h, array: pa.Array) -> None:
    if isinstance(array, pa.ChunkedArray):
        array = array.chunk(0) if array.num_chunks else pa.array([], array.type)
    kind = array.type
    if pa.types.is_list(kind):
        h.update(np.diff(array.offsets.to_numpy()).astype("<i8").tobytes())
        values = array.flatten()
        for i in range(kind.value_type.num_fields):
            _hash_array(h, values.field(i))
    elif pa.types.is_string(kind):
        offsets = np.frombuffer(array.buffers()[1], np.int32)[array.offset : array.offset + len(array) + 1]
        h.update(np.diff(offsets).astype("<i8").tobytes())
        if array.buffers()[2] is not None:
            h.update(memoryview(array.buffers()[2])[offsets[0] : offsets[-1]])
    elif pa.types.is_fixed_size_binary(kind):
        width = kind.byte_width
        h.update(memoryview(array.buffers()[1])[array.offset * width : (array.offset + len(array)) * width])
    else:
        values = array.to_numpy()
        h.update(values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes())


class PlanWriter:
    """Collects rows, split after split, cuts them into shards and writes each as one row group; ``publish`` at the end."""

    def __init__(self, path: str | Path, shard_samples: int, next_number: dict[str, int]):
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        handle, self._part = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.name}.", suffix=".part")
        os.close(handle)
        self._writer = pq.ParquetWriter(
            self._part, SCHEMA, compression="zstd", write_statistics=False, use_dictionary=list(_TEXTS)
        )
        self._size, self._next = shard_samples, dict(next_number)
        self.shards: list[list] = []  # [name, split, samples, digest]

    def write(self, batches, split: int) -> None:
        """batches: iterable of tables of one split, in order."""
        waiting: list[pa.Table] = []
        rows = 0
        for table in batches:
            waiting.append(table)
            rows += table.num_rows
            if rows >= max(self._size, _BATCH_ROWS):
                joined = pa.concat_tables(waiting).combine_chunks()
                whole = rows // self._size * self._size
                self._write_shards(joined.slice(0, whole), split)
                waiting, rows = [joined.slice(whole)], rows - whole
        if rows:
            self._write_shards(pa.concat_tables(waiting).combine_chunks(), split)

    def _write_shards(self, table: pa.Table, split: int) -> None:
        name = SPLITS[split]
        for start in range(0, table.num_rows, self._size):
            shard = table.slice(start, self._size)
            number = self._next.get(name, 0)
            self._next[name] = number + 1
            self.shards.append([shard_name(name, number), name, shard.num_rows, rows_digest(shard)])
        self._writer.write_table(table, row_group_size=self._size)

    def publish(self, meta: dict) -> None:
        data = {"format": PLAN_FORMAT, **meta, "shards": self.shards}
        self._writer.add_key_value_metadata({_META: json.dumps(data, separators=(",", ":")).encode()})
        self._writer.close()
        with open(self._part, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(self._part, self.path)

    def discard(self) -> None:
        self._writer.close()
        if os.path.exists(self._part):
            os.unlink(self._part)


def read_meta(file: pq.ParquetFile) -> dict:
    """What ``publish`` wrote; an empty dict for another file."""
    try:
        return json.loads((file.metadata.metadata or {}).get(_META, b"{}"))
    except ValueError:
        return {}


def coded_group_names(groups: Coded, codes: np.ndarray) -> list[str]:
    """Names of the groups that occur among the codes, sorted."""
    return sorted(groups.names[c] for c in np.unique(codes))
