"""Recordings -> tapes: a long recording is a tape of its own, short clips of one group are joined.

Clips are joined in the order of their hash; a new tape starts where hash mod ``every`` = 0, so one clip more or less
changes one tape (it may cut it in two, or join two).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipelines.plan.hash import tape_hashes


@dataclass
class Tapes:
    """t tapes of m members in all; lengths and positions in frames at the corpus' rate.

    ``member_row`` (m,): the recording; ``member_begin`` (m + 1,): where it begins on the line of all tapes laid end to end;
    ``first`` (t + 1,): index of each tape's first member; ``hash`` (t,): identity of the tape.
    """

    member_row: np.ndarray
    member_begin: np.ndarray
    first: np.ndarray
    hash: np.ndarray

    def __len__(self) -> int:
        return len(self.hash)

    @property
    def begin(self) -> np.ndarray:
        """Where each tape begins on the line, int64 (t,)."""
        begin: np.ndarray = self.member_begin[self.first[:-1]]
        return begin

    @property
    def frames(self) -> np.ndarray:
        return np.diff(self.member_begin[self.first])


def corpus_frames(frames: np.ndarray, sample_rate: np.ndarray, corpus_rate: int) -> np.ndarray:
    """Frames that a recording has for certain after resampling, int64."""
    return frames.astype(np.int64) * corpus_rate // np.maximum(sample_rate.astype(np.int64), 1)


def make_tapes(
    rows: np.ndarray, identity: np.ndarray, stratum: np.ndarray, length: np.ndarray, joined_below: np.ndarray, every: int
) -> Tapes:
    """rows: which recordings, int64 (n,). The other arrays are indexed by recording: identity hash (uint64), stratum (joined
    only within), length in corpus frames, and the length below which a clip is joined. Tapes come in the order of their
    first recording's place in ``rows``, for locality; nothing may depend on that order.
    """
    short = length[rows] < joined_below[rows]
    alone, clips = rows[~short], rows[short]
    clips = clips[np.lexsort((identity[clips], stratum[clips]))]
    starts = np.zeros(len(clips), bool)
    if len(clips):
        starts[0] = True
        starts[1:] = stratum[clips[1:]] != stratum[clips[:-1]]
        starts |= identity[clips] % np.uint64(every) == 0
    first_clip = np.flatnonzero(starts)

    member_row = np.concatenate([alone, clips]).astype(np.int64)
    first = np.concatenate([np.arange(len(alone)), len(alone) + first_clip, [len(member_row)]]).astype(np.int64)
    member_row, first = _by_first_row(member_row, first)
    begin = np.concatenate([[0], np.cumsum(length[member_row], dtype=np.int64)])
    return Tapes(member_row, begin, first, tape_hashes(identity[member_row], first[:-1]))


def _by_first_row(member_row: np.ndarray, first: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Tapes ordered by the smallest row that they hold: activity is then read about in the order in which it is stored."""
    if len(first) < 2:
        return member_row, first
    order = np.argsort(np.minimum.reduceat(member_row, first[:-1]), kind="stable")
    counts = np.diff(first)[order]
    ends = np.cumsum(counts)
    index = np.repeat(first[:-1][order] - (ends - counts), counts) + np.arange(len(member_row))
    return member_row[index], np.concatenate([[0], ends])


def first_repeated(hashes: np.ndarray) -> int | None:
    """Index of a hash that occurs twice, or None."""
    order = np.argsort(hashes, kind="stable")
    same = np.flatnonzero(hashes[order][1:] == hashes[order][:-1])
    return int(order[same[0]]) if len(same) else None
