"""The corpus on disk: names and fields shared by the writer (``pipelines``) and the readers.

Neither torch nor webdataset is imported here: render workers use this module too.

    out/
      corpus.json                     format version, manifest, generations, digests; written first
      catalog-0000.parquet  plan-0000.parquet
      train/train-000000.tar          KEY.a.input.flac KEY.b.input.flac KEY.a.target.flac KEY.b.target.flac KEY.json
                                      KEY.r0.target.flac ... where references are other content, as many in every sample
      train/train-000000.parquet      one row per planned sample
      train/train-000000.json         sidecar = commit marker
      index.json                      written when every shard is committed
"""

from __future__ import annotations

import re
from dataclasses import dataclass

FORMAT = "stylefx-corpus"
FORMAT_VERSION = 1

CORPUS_FILE = "corpus.json"
INDEX_FILE = "index.json"

SPLITS = ("train", "val", "test")
HALVES = ("a", "b")
BRANCHES = ("input", "target", "dry")

#: storage format -> (file extension, libsndfile subtype)
AUDIO_FORMATS = {
    "flac16": ("flac", "PCM_16"),
    "flac24": ("flac", "PCM_24"),
    "pcm16": ("wav", "PCM_16"),
    "pcm24": ("wav", "PCM_24"),
    "float32": ("wav", "FLOAT"),
}

#: what became of a planned sample
STATUS_OK = "ok"
STATUS_FILTERED = "filtered"  # left out on purpose
STATUS_FAILED = "failed"  # an error
STATUS_QUARANTINED = "quarantined"  # killed its worker twice
STATUSES = (STATUS_OK, STATUS_FILTERED, STATUS_FAILED, STATUS_QUARANTINED)

_KEY = re.compile(r"[a-z0-9-]+-[0-9a-f]{16}-[0-9]+\Z")


def sample_key(source: str, tape_hash16: str, index: int) -> str:
    """``source-hash16-index``, only [a-z0-9-]; the source's other characters become '-'."""
    slug = re.sub(r"[^a-z0-9]+", "-", source.lower()).strip("-") or "source"
    key = f"{slug}-{tape_hash16}-{index:05d}"
    if not _KEY.match(key):
        raise ValueError(f"not a sample key: {key!r}")
    return key


def shard_name(split: str, number: int) -> str:
    """``train/train-000000``: the stem that a shard's three files share, relative to the corpus."""
    return f"{split}/{split}-{number:06d}"


def plan_file(generation: int) -> str:
    return f"plan-{generation:04d}.parquet"


def catalog_file(generation: int) -> str:
    return f"catalog-{generation:04d}.parquet"


@dataclass(frozen=True)
class Member:
    """Where one member of a sample lies in its tar: byte offset and size of the data (header excluded)."""

    name: str
    offset: int
    size: int


#: Columns of a shard's parquet, one row per planned sample, in plan order. ``members`` holds JSON:
#: {"a.input.flac": [offset, size], ..., "json": [offset, size]} with data offsets into the tar ({} when status is not ok);
#: ``crc32`` holds JSON {"a.input.flac": crc of the data, ...}, by which damage is traced to a sample.
#: A corpus whose samples have them adds columns of ``EXTRA_COLUMNS``: ``reference_groups`` holds JSON [group of r0, of r1, ...]
#: (the sample's own where it is its own other half), ``nothing_to_do`` "same", "neutral" or "",
#: ``metadata`` JSON of what else is known of the recordings ({} is empty), in shards where any has some.
SHARD_COLUMNS = (
    "key", "source", "group", "label", "split", "status", "reason",
    "pitch_cents", "tempo", "input_lufs", "target_lufs", "input_peak_dbfs", "target_peak_dbfs",
    "settings", "members", "crc32",
)  # fmt: skip
EXTRA_COLUMNS = ("reference_groups", "nothing_to_do", "metadata")
