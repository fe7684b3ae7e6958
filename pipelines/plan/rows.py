"""The plan's rows as Arrow tables, and a digest of rows that does not depend on their layout."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.catalog.recordings import Recordings
from pipelines.manifest.model import Manifest
from pipelines.plan.choice.near import joined_groups
from pipelines.plan.place import draw_augmentation
from pipelines.plan.tapes import Tapes
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


_TARGET_HASHES = pa.field("target_sha256", pa.list_(pa.binary(32)))


#: what a reference of other content is: a half of another sample, read and augmented as that sample is
REFERENCE = pa.struct(
    [
        ("key", pa.string()),
        *[(name, pa.string()) for name in TEXTS],
        ("pitch_cents", pa.float64()),
        ("tempo", pa.float64()),
        ("read_frames", pa.int64()),
        ("parts", pa.list_(PART)),
        ("half", pa.string()),
    ]
)


def plan_schema(manifest: Manifest, recordings: Recordings | None = None) -> pa.Schema:
    """Plans have a column of references only where references are other content, of metadata and of targets (one for each
    part) only where recordings have them."""
    schema = SCHEMA.append(pa.field("references", pa.list_(REFERENCE))) if manifest.reference.stored else SCHEMA
    if recordings is not None and recordings.with_metadata():
        schema = schema.append(pa.field("metadata", pa.string()))
    if recordings is not None and recordings.with_targets():
        schema = schema.append(pa.field("targets", pa.list_(pa.string()))).append(_TARGET_HASHES)
    return schema


class Rows:
    """Builds the plan's rows for segments; everything that all rows share is prepared once."""

    def __init__(self, manifest: Manifest, recordings: Recordings, tapes: Tapes):
        self.manifest, self.recordings, self.tapes = manifest, recordings, tapes
        self.rate, self.schema = manifest.segment.sample_rate, plan_schema(manifest, recordings)
        slugs = [sample_key(name, "0" * 16, 0)[: -len("-0000000000000000-00000")] for name in recordings.source.names]
        self._joined = joined_groups(recordings)
        self._slug = pa.array(slugs, pa.string())
        self._names = {name: pa.array(getattr(recordings, name).names, pa.string()) for name in TEXTS}

    def table(self, segments: np.ndarray, split: int, lent: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None) -> pa.Table:
        """SEGMENT (n,) of one split -> n rows for each draw, those of one segment side by side, so that it is read and stretched
        once. ``lent``: (references per segment (n,), their SEGMENTs and halves, row after row)."""
        draws = self.manifest.segment.draws_per_tape
        columns = self._columns(np.repeat(segments, draws), split, np.tile(np.arange(draws), len(segments)))
        if lent is not None:
            columns["references"] = self._references(*_repeated(*lent, draws), split)
        return pa.table([columns[name] for name in self.schema.names], schema=self.schema)

    def kinds(self, segments: np.ndarray) -> tuple[np.ndarray, list[str], np.ndarray, list[str]]:
        """(kind of each segment, names of the kinds, group of each, names of the groups): who may lend to whom. Groups that hold
        the same audio count as one."""
        row = self.tapes.member_row[self.tapes.first[segments["tape"]]]
        source, label, group = (getattr(self.recordings, name) for name in ("source", "label", "group"))
        pairs, codes = np.unique(np.stack([source.codes[row], label.codes[row]], 1), axis=0, return_inverse=True)
        kinds = [self.manifest.reference.kind(source.names[s], label.names[t]) for s, t in pairs]
        names = sorted(set(kinds))
        return (
            np.array([names.index(k) for k in kinds], np.int64)[codes.reshape(-1)],
            names,
            self._joined[group.codes[row]],
            group.names,
        )

    def _references(self, counts: np.ndarray, segments: np.ndarray, halves: np.ndarray, split: int) -> pa.Array:
        columns = self._columns(segments, split) | {"half": pa.array(np.where(halves, "b", "a"), pa.string())}
        fields = [columns[field.name] for field in REFERENCE]
        fields = [f.combine_chunks() if isinstance(f, pa.ChunkedArray) else f for f in fields]
        offsets = pa.array(np.concatenate([[0], np.cumsum(counts)]), pa.int32())
        return pa.ListArray.from_arrays(offsets, pa.StructArray.from_arrays(fields, fields=list(REFERENCE)))

    def _columns(self, segments: np.ndarray, split: int, draw: np.ndarray | int = 0) -> dict[str, pa.Array]:
        """The number in a sample's key counts draws after draws, segment after segment."""
        first_row = self.tapes.member_row[self.tapes.first[segments["tape"]]]
        draws = draw_augmentation(self.manifest, segments["order"], np.full(len(segments), split, np.int8))
        columns = {name: self._names[name].take(pa.array(getattr(self.recordings, name).codes[first_row])) for name in TEXTS}
        slug = self._slug.take(pa.array(self.recordings.source.codes[first_row]))
        number = segments["index"].astype(np.int64) * self.manifest.segment.draws_per_tape + draw
        index = pc.utf8_lpad(pa.array(number).cast(pa.string()), 5, "0")
        columns["key"] = pc.binary_join_element_wise(slug, _hex(self.tapes.hash[segments["tape"]]), index, "-")
        columns["pitch_cents"], columns["tempo"] = pa.array(draws.pitch_cents), pa.array(draws.tempo)
        columns["read_frames"] = pa.array(draws.read_frames)
        columns |= self._parts(segments, draws.read_frames)
        return columns

    def _parts(self, segments: np.ndarray, read: np.ndarray) -> dict[str, pa.Array]:
        """Which frames of which recordings, in their own rates, rounded outwards, so that enough is read; what somebody made of
        each; and what all recordings of a segment are known to be."""
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
        lists = pa.array(offsets, pa.int32())
        parts = pa.ListArray.from_arrays(lists, pa.StructArray.from_arrays(fields, fields=list(PART)))
        return {
            "parts": parts,
            "targets": pa.ListArray.from_arrays(lists, recordings.target.take(where).cast(pa.string())),
            "target_sha256": pa.ListArray.from_arrays(lists, recordings.target_sha256.take(where)),
            "metadata": self._metadata(recordings.metadata.codes[row], offsets),
        }

    def _metadata(self, codes: np.ndarray, offsets: np.ndarray) -> pa.Array:
        """Of each segment the fields in which all its recordings agree."""
        names = self.recordings.metadata.names
        texts = [names[codes[a]] if names else "" for a in offsets[:-1]]
        for i in np.flatnonzero(np.diff(offsets) > 1):
            found = {names[c] for c in codes[offsets[i] : offsets[i + 1]]}
            if len(found) > 1:
                first, *others = (json.loads(text or "{}") for text in found)
                shared = {k: v for k, v in sorted(first.items()) if all(o.get(k) == v for o in others)}
                texts[i] = json.dumps(shared, ensure_ascii=False) if shared else ""
        return pa.array(texts, pa.string())


def _repeated(
    counts: np.ndarray, segments: np.ndarray, halves: np.ndarray, draws: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The references of every row, ``draws`` rows for each."""
    if draws == 1:
        return counts, segments, halves
    first = np.cumsum(counts) - counts
    counts, first = np.repeat(counts, draws), np.repeat(first, draws)
    ends = np.cumsum(counts)
    which = np.repeat(first - (ends - counts), counts) + np.arange(ends[-1] if len(ends) else 0)
    return counts, segments[which], halves[which]


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


def _hash_array(h: hashlib.blake2b, array: pa.Array) -> None:
    if isinstance(array, pa.ChunkedArray):
        array = array.chunk(0) if array.num_chunks else pa.array([], array.type)
    kind = array.type
    if pa.types.is_list(kind):
        h.update(np.diff(array.offsets.to_numpy()).astype("<i8").tobytes())
        values = array.flatten()
        if not pa.types.is_struct(kind.value_type):
            _hash_array(h, values)
            return
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
