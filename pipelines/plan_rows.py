"""The plan's rows as Arrow tables, and a digest of rows that does not depend on their layout."""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.manifest import Manifest
from pipelines.plan_catalog import Recordings
from pipelines.plan_place import draw_augmentation
from pipelines.plan_tapes import Tapes
from stylefx.corpus.schema import sample_key

#: columns whose values repeat
TEXTS = ("source", "group", "label", "licence", "attribution")
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
SCHEMA = pa.schema(
    [
        ("key", pa.string()),
        *[(name, pa.string()) for name in TEXTS],
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
        self._names = {name: pa.array(getattr(recordings, name).names, pa.string()) for name in TEXTS}

    def table(self, segments: np.ndarray, split: int) -> pa.Table:
        """SEGMENT (n,) of one split -> n rows."""
        first_row = self.tapes.member_row[self.tapes.first[segments["tape"]]]
        draws = draw_augmentation(self.manifest, segments["order"], np.full(len(segments), split, np.int8))
        columns = {name: self._names[name].take(pa.array(getattr(self.recordings, name).codes[first_row])) for name in TEXTS}
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
