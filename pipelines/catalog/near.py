"""Which recordings hold the same audio: fingerprints compared, what belongs together joined into clusters.

Every pair of peaks within two seconds is a hash of two frequencies and their distance. Two recordings that share audio share
hashes at one time offset; chance shares them at any. Of a recording of a few seconds too few are shared for their number to say
it: there the offset that some of them agree on is tried, peak by peak (see ``short``). The index is one sorted array; recordings
are looked up a few at a time, so memory is bounded by the index: twenty bytes a hash, about 36 hashes a second of audio.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from pipelines.catalog.landmarks import places_of
from pipelines.catalog.short import MIN_AGREEING, is_short, lies_in

_FAN = 3  # hashes that begin at a peak
_ZONE_HOPS, _ZONE_BINS = 63, 127
_MOST_ALIKE = 64  # a hash in more places than this says nothing, as that of a tone or a hum
_MOST_HASHES = 1 << 26  # above, only every second, fourth, ... hash is used
_BATCH_HASHES = 1 << 16
#: hashes at one offset, and their share of what the shorter one has where both overlap, for the same audio
MIN_VOTES, MIN_SHARE = 8, 0.06
_MIN_SPAN_HOPS = 16  # they must spread over half a second


class Fingerprints:
    """``add`` recordings by name, then ``clusters``."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._peaks: list[np.ndarray] = []
        self._rows: list[int] = []
        self._count = 0

    def add(self, name: str, fingerprint: bytes) -> None:
        """The next recording; an empty fingerprint is that of one that cannot be compared."""
        if fingerprint:
            self._names.append(name)
            self._peaks.append(np.frombuffer(fingerprint, np.uint32))
            self._rows.append(self._count)
        self._count += 1

    def clusters(self) -> dict[int, str]:
        """Number of a recording -> the name that stands for all with the same audio: the smallest. Those alone are not in it."""
        parent = np.arange(len(self._names))

        def root(i: int) -> int:
            while parent[i] != i:
                parent[i] = parent[parent[i]]
                i = int(parent[i])
            return i

        for a, b in same_audio(self._peaks):
            x, y = root(a), root(b)
            if x != y:
                x, y = (x, y) if self._names[x] < self._names[y] else (y, x)
                parent[y] = x
        roots = [root(i) for i in range(len(self._names))]
        sizes = np.bincount(roots, minlength=len(roots)) if roots else np.zeros(0, int)
        return {self._rows[i]: self._names[r] for i, r in enumerate(roots) if sizes[r] > 1}


def same_audio(peaks: Sequence[np.ndarray]) -> list[tuple[int, int]]:
    """Pairs of recordings that share audio, smaller number first."""
    if not peaks:
        return []
    index = _Index.of(peaks)
    out = {pair for rows in index.batches(np.arange(len(peaks))) for pair in _by_hashes(index, rows)}
    out |= {pair for rows in index.batches(np.flatnonzero(index.short)) for pair in _by_peaks(index, rows, peaks)}
    return sorted(out)


@dataclass(frozen=True)
class _Index:
    """All hashes, those of one recording after those of another: ``values``, whose each is (``owner``), the hop where it begins.
    ``known``: the values sorted, ``order``: where each of these stands. ``ends``: where a recording's hashes end; ``short``:
    which of the recordings are."""

    values: np.ndarray
    owner: np.ndarray
    hop: np.ndarray
    known: np.ndarray
    order: np.ndarray
    ends: np.ndarray
    short: np.ndarray

    @classmethod
    def of(cls, peaks: Sequence[np.ndarray]) -> _Index:
        total = sum(map(len, peaks)) * _FAN
        thin = max(0, int(np.ceil(np.log2(max(1, total / _MOST_HASHES)))))
        hashes = [hashes_of(p, thin) for p in peaks]
        counts = [len(t) for _, t in hashes]
        values = np.concatenate([h for h, _ in hashes])
        order = np.argsort(values, kind="stable").astype(np.int32)
        return cls(
            values,
            np.repeat(np.arange(len(peaks), dtype=np.int32), counts),
            np.concatenate([t for _, t in hashes]),
            values[order],
            order,
            np.cumsum(counts),
            np.array([is_short(p) for p in peaks], bool),
        )

    def hops(self, recording: int) -> np.ndarray:
        """Where the recording's hashes begin."""
        return self.hop[self.ends[recording - 1] if recording else 0 : self.ends[recording]]

    def batches(self, recordings: np.ndarray) -> Iterator[np.ndarray]:
        """The rows of the recordings' hashes, those of a few recordings at a time."""
        begins = np.append(0, self.ends)[recordings]
        counts = self.ends[recordings] - begins
        part = np.cumsum(counts) // _BATCH_HASHES
        for first, end in _runs(part):
            spans = zip(begins[first:end].tolist(), counts[first:end].tolist(), strict=True)
            yield np.concatenate([np.arange(begin, begin + count) for begin, count in spans])

    def shared(self, rows: np.ndarray, reach: int, by_short: bool) -> _Shared:
        """What other recordings share with these rows' hashes, ``reach``: or hold with a distance in time so many hops off.
        Every two recordings are looked at once: from the first, or ``by_short`` from the one that is short."""
        values = self.values[rows]
        low = np.searchsorted(self.known, values - np.uint32(reach), "left")
        high = np.searchsorted(self.known, values + np.uint32(reach), "right")
        count = np.where(high - low <= _MOST_ALIKE, high - low, 0)
        mine = np.repeat(rows, count)
        theirs = self.order[np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + np.repeat(low, count)]
        a, b = self.owner[mine], self.owner[theirs]
        wanted = (b > a) | (~self.short[b] & (a != b)) if by_short else b > a
        mine, a, b = mine[wanted], a[wanted], b[wanted]
        offset = self.hop[mine] - self.hop[theirs[wanted]]
        order = np.lexsort((offset, b, a))
        return _Shared(a[order], b[order], offset[order], self.hop[mine[order]])


@dataclass(frozen=True)
class _Shared:
    """Shared hashes, in the order of the recordings a and b and of the offset: hops by which a's lie later. ``at``: hops in a."""

    a: np.ndarray
    b: np.ndarray
    offset: np.ndarray
    at: np.ndarray

    def agreeing(self, least: int) -> Iterator[tuple[int, int, slice]]:
        """(a, b, the most that agree on an offset within three hops) of the pairs where these are ``least`` or more."""
        for first, end in _runs(self.a, self.b):
            if end - first < least:
                continue
            offset = self.offset[first:end]
            votes = np.searchsorted(offset, offset + 2, "right") - np.arange(len(offset))
            where = int(np.argmax(votes))
            if votes[where] >= least:
                yield int(self.a[first]), int(self.b[first]), slice(first + where, first + where + int(votes[where]))


def _runs(*columns: np.ndarray) -> Iterator[tuple[int, int]]:
    """Begin and end of the stretches in which all columns stay equal."""
    changes = np.flatnonzero(np.any([column[1:] != column[:-1] for column in columns], axis=0)) + 1
    bounds = np.concatenate([[0], changes, [len(columns[0])]]).tolist()
    return (run for run in pairwise(bounds) if run[0] < run[1])


def _by_hashes(index: _Index, rows: np.ndarray) -> Iterator[tuple[int, int]]:
    """Pairs (a recording of these rows, a later one) whose shared hashes agree on an offset and are many."""
    shared = index.shared(rows, reach=0, by_short=False)
    for a, b, voted in shared.agreeing(MIN_VOTES):
        if _is_same(int(shared.offset[voted][0]), shared.at[voted], index.hops(a), index.hops(b)):
            yield a, b


def _by_peaks(index: _Index, rows: np.ndarray, peaks: Sequence[np.ndarray]) -> Iterator[tuple[int, int]]:
    """Pairs of a short recording of these rows and any other, where most peaks of the shorter one lie at the other's."""
    shared = index.shared(rows, reach=1, by_short=True)
    for a, b, voted in shared.agreeing(MIN_AGREEING):
        if lies_in(peaks[a], peaks[b], int(np.median(shared.offset[voted]))):
            yield min(a, b), max(a, b)


def _is_same(offset: int, at: np.ndarray, a: np.ndarray, b: np.ndarray) -> bool:
    """Whether so many votes are a good share of what either has in the stretch that both cover."""
    begin, end = max(int(a.min()), int(b.min()) + offset), min(int(a.max()), int(b.max()) + offset)
    in_a = int(((a >= begin) & (a <= end)).sum())
    in_b = int(((b + offset >= begin) & (b + offset <= end)).sum())
    share = len(at) / max(1, min(in_a, in_b))
    return share >= MIN_SHARE and int(at.max() - at.min()) >= _MIN_SPAN_HOPS


def hashes_of(peaks: np.ndarray, thin: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(hash uint32 (n,), hop where it begins int32 (n,)): each peak with the next few in its zone. ``thin``: one of 2 ** thin."""
    hop, frequency = places_of(peaks)
    found, begins = [], []
    taken = np.zeros(len(peaks), np.int32)
    for step in range(1, 4 * _FAN + 1):
        far, rise = hop[step:] - hop[:-step], frequency[step:] - frequency[:-step]
        good = (far >= 2) & (far <= _ZONE_HOPS) & (np.abs(rise) <= _ZONE_BINS) & (taken[: len(far)] < _FAN)
        at = np.flatnonzero(good)
        taken[at] += 1
        # frequencies in pairs of bins: a peak may move by one when a codec or a rate changes
        found.append((frequency[at] >> 1) << 16 | ((rise[at] + _ZONE_BINS + 1) >> 1) << 8 | far[at])
        begins.append(hop[at])
    values = np.concatenate([*found, np.zeros(0, np.int32)]).astype(np.uint32)
    times = np.concatenate([*begins, np.zeros(0, np.int32)])
    if thin:
        kept = (values * np.uint32(0x9E3779B1) >> np.uint32(32 - thin)) == 0
        values, times = values[kept], times[kept]
    return values, times
