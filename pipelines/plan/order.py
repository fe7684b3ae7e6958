"""Segments -> the order of the corpus: by the hash of each segment, sorted in buckets on disk, so in bounded memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pipelines.manifest.model import Selection
from pipelines.plan.place import SEGMENT
from stylefx.corpus.schema import SPLITS
from stylefx.errors import UserError

_BUCKET_ITEMS = 2 << 20


class Spill:
    """Segments by (split, bucket of the order hash), appended to files in ``folder``."""

    def __init__(self, folder: str | Path, expected: int):
        self._bits = max(0, int(np.ceil(np.log2(max(1, expected) / _BUCKET_ITEMS))))
        self._folder = Path(folder)
        self._files = [[self._path(s, b).open("wb") for b in range(1 << self._bits)] for s in range(len(SPLITS))]

    def _path(self, split: int, bucket: int) -> Path:
        return self._folder / f"segments-{split}-{bucket}.bin"

    def add(self, segments: np.ndarray, split_code: np.ndarray) -> None:
        """segments: SEGMENT (n,); split_code: of each (n,)."""
        for split in range(len(SPLITS)):
            mine = segments[split_code == split]
            if self._bits == 0:
                self._files[split][0].write(mine.tobytes())
                continue
            bucket = (mine["order"] >> np.uint64(64 - self._bits)).astype(np.int64)
            by_bucket = mine[np.argsort(bucket, kind="stable")]
            ends = np.cumsum(np.bincount(bucket, minlength=1 << self._bits))
            for file, a, b in zip(self._files[split], ends - np.diff(ends, prepend=0), ends):
                if b > a:
                    file.write(by_bucket[a:b].tobytes())

    def sorted(self, split: int) -> Iterator[np.ndarray]:
        """The buckets of a split, each sorted; one after another they are in the order of the hash."""
        for bucket, file in enumerate(self._files[split]):
            file.close()
            segments = np.fromfile(self._path(split, bucket), SEGMENT)
            os.unlink(self._path(split, bucket))
            segments = segments[np.lexsort((segments["index"], segments["tape"], segments["order"]))]
            yield segments

    def close(self) -> None:
        for files in self._files:
            for file in files:
                file.close()


def quotas(available: np.ndarray, weights: np.ndarray, selection: Selection, seconds: float) -> np.ndarray:
    """How many samples are kept. available: int64 (splits, sources or other values that are balanced); weights: of these values;
    seconds: of one sample."""
    wanted: list[int | None] = [None] * len(SPLITS)
    if isinstance(selection.hours, float):
        total = min(round(selection.hours * 3600 / seconds), int(available.sum()))
        shares = _apportion(total, available.sum(axis=1).astype(float), available.sum(axis=1))
        wanted = [int(n) for n in shares]
    elif selection.hours is not None:
        hours = [getattr(selection.hours, s) for s in SPLITS]
        wanted = [None if h is None else round(h * 3600 / seconds) for h in hours]
    out = np.empty_like(available)
    for s, (have, want) in enumerate(zip(available, wanted, strict=True)):
        if selection.balance == "natural":
            out[s] = have if want is None else _apportion(min(want, int(have.sum())), have.astype(float), have)
        elif want is None:  # as much as the proportions allow
            with np.errstate(divide="ignore"):
                unit = np.where(have > 0, have / weights, np.inf).min(initial=np.inf)
            out[s] = np.floor(np.where(have > 0, weights * unit, 0) + 1e-9) if np.isfinite(unit) else 0
        else:
            out[s] = _apportion(min(want, int(have.sum())), weights, have)
    return out


def _apportion(total: int, weights: np.ndarray, limit: np.ndarray) -> np.ndarray:
    """``total`` split in proportion to the weights, none over its limit; what one cannot take goes to the others."""
    out = np.zeros(len(limit), np.int64)
    open_ = (limit > 0) & (weights > 0)
    while open_.any() and out.sum() < total:
        share = np.where(open_, weights, 0.0) / weights[open_].sum() * (total - out.sum())
        step = np.minimum(np.floor(share).astype(np.int64), limit - out)
        if not step.any():  # hand out the last ones, largest remainder first
            for i in np.argsort(-share, kind="stable"):
                if open_[i] and out[i] < limit[i] and out.sum() < total:
                    out[i] += 1
        out += step
        open_ &= out < limit
    return out


class Quota:
    """Lets the first so many samples of each source pass; in the order of the hash these are a random choice."""

    def __init__(self, per_source: np.ndarray):
        self._left = per_source.astype(np.int64).copy()

    def passes(self, source: np.ndarray) -> np.ndarray:
        """source: code of each sample in order (n,) -> bool (n,)."""
        order = np.argsort(source, kind="stable")
        counts = np.bincount(source, minlength=len(self._left))
        rank = np.empty(len(source), np.int64)
        rank[order] = np.arange(len(source)) - np.repeat(np.cumsum(counts) - counts, counts)
        passed: np.ndarray = rank < self._left[source]
        self._left -= np.minimum(self._left, counts)
        return passed


def check_room(folder: str | Path, num_bytes: int) -> None:
    """UserError where planning would fill the disk."""
    import shutil

    free = shutil.disk_usage(folder).free
    if free < num_bytes:
        raise UserError(f"planning needs about {num_bytes / 2**30:.1f} GB in {folder}, {free / 2**30:.1f} GB are free; free some")
