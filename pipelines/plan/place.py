"""Tapes -> segments: tempo is drawn before a segment is placed, then as much is read as that tempo needs.

Segments follow one another along a tape. Where a half is not active the stretch moves on; where the rest of the tape is
shorter than the stretch, the tape ends. Nothing is ever padded.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipelines.catalog.recordings import ActivityTracks
from pipelines.manifest.model import Manifest
from pipelines.plan.energy import EnergyLine
from pipelines.plan.hash import segment_hashes, words
from pipelines.plan.tapes import Tapes
from stylefx.corpus.schema import SPLITS
from stylefx.recipes.distributions import map_words

_BLOCK_WINDOWS = 4 << 20


_BLOCK_TAPES = 1 << 17


_MOVES_PER_HALF = 4


TEMPO_DECIMALS, PITCH_DECIMALS = 6, 4


#: a placed segment: the hash that orders it, its tape, its index on it, and where it starts on the tape
SEGMENT = np.dtype([("order", "<u8"), ("tape", "<u4"), ("index", "<u4"), ("start", "<i8")])


TOO_SHORT, NOT_ACTIVE = "too short for a segment", "not active"


@dataclass
class Draws:
    """Pitch, tempo and frames to read for n segments."""

    pitch_cents: np.ndarray
    tempo: np.ndarray
    read_frames: np.ndarray


def draw_augmentation(manifest: Manifest, order: np.ndarray, split_code: np.ndarray) -> Draws:
    """The planned part of a sample's recipe. order: uint64 (n,); split_code: index into SPLITS (n,)."""
    augment, seed = manifest.augment, manifest.seed
    allowed = np.isin(split_code, [SPLITS.index(s) for s in augment.splits])
    coin = (words(seed, "augment", order, 1)[:, 0] >> np.uint64(11)) * 2.0**-53
    chosen = allowed & (coin < augment.probability)
    pitch = map_words(augment.pitch_cents, words(seed, "augment pitch", order, 3), PITCH_DECIMALS)
    tempo = map_words(augment.tempo, words(seed, "augment tempo", order, 3), TEMPO_DECIMALS)
    pitch = np.where(chosen & ~np.isnan(pitch), pitch, 0.0)
    tempo = np.where(chosen & ~np.isnan(tempo), tempo, 1.0)
    read = np.ceil(tempo * manifest.segment_frames).astype(np.int64)
    return Draws(pitch, tempo, read)


def longest_read(manifest: Manifest) -> np.ndarray:
    """For each split the most frames that a segment can need, int64 (3,)."""
    augment = manifest.augment
    longest = np.full(len(SPLITS), manifest.segment_frames, np.int64)
    if augment.probability > 0:
        high = max(1.0, augment.tempo.bounds()[1])
        for name in augment.splits:
            longest[SPLITS.index(name)] = int(np.ceil(np.round(high, TEMPO_DECIMALS) * manifest.segment_frames))
    return longest


def blocks_of_tapes(tapes: Tapes, tracks: ActivityTracks) -> list[tuple[int, int]]:
    """Ranges of tapes with a bounded number of activity windows each."""
    windows = np.concatenate([[0], np.cumsum(np.diff(tracks.starts)[tapes.member_row])])[tapes.first]
    out, a = [], 0
    while a < len(tapes):
        b = int(np.searchsorted(windows, windows[a] + _BLOCK_WINDOWS, side="right")) - 1
        b = min(max(b, a + 1), a + _BLOCK_TAPES, len(tapes))
        out.append((a, b))
        a = b
    return out


def place_segments(
    manifest: Manifest, tapes: Tapes, a: int, b: int, split_code: np.ndarray, line: EnergyLine
) -> tuple[np.ndarray, dict[str, int]]:
    """Segments of the tapes a..b, SEGMENT (n,), and how many recordings gave none, by reason. split_code: of every tape."""
    segment, threshold = manifest.segment, manifest.segment.activity_threshold
    move = max(1, segment.half_frames // _MOVES_PER_HALF)
    ids = np.arange(a, b)
    length = tapes.frames[a:b]
    position, index = np.zeros(len(ids), np.int64), np.zeros(len(ids), np.int64)
    tried = np.zeros(len(ids), bool)
    alive = np.arange(len(ids))
    placed: list[np.ndarray] = []
    order = segment_hashes(tapes.hash[ids], index)
    read = draw_augmentation(manifest, order, split_code[ids]).read_frames
    while len(alive):
        alive = alive[position[alive] + read[alive] <= length[alive]]
        tried[alive] = True
        power = line.weaker_half(alive, position[alive], read[alive])
        good = alive[power > threshold]
        found = np.empty(len(good), SEGMENT)
        found["order"], found["tape"], found["index"], found["start"] = order[good], ids[good], index[good], position[good]
        placed.append(found)
        position[alive[power <= threshold]] += move
        position[good] += np.maximum(1, np.floor(read[good] * (1.0 - segment.overlap))).astype(np.int64)
        index[good] += 1
        order[good] = segment_hashes(tapes.hash[ids[good]], index[good])
        read[good] = draw_augmentation(manifest, order[good], split_code[ids[good]]).read_frames
    none, members = index == 0, np.diff(tapes.first[a : b + 1])
    reasons = {TOO_SHORT: int(members[none & ~tried].sum()), NOT_ACTIVE: int(members[none & tried].sum())}
    segments = np.concatenate([*placed, np.empty(0, SEGMENT)])
    return _limit(segments, segment.per_recording), reasons


def _limit(segments: np.ndarray, most: int | None) -> np.ndarray:
    """At most so many segments of one tape: those with the smallest hashes."""
    if most is None or not len(segments):
        return segments
    order = np.lexsort((segments["order"], segments["tape"]))
    tape = segments["tape"][order]
    first = np.flatnonzero(np.concatenate([[True], tape[1:] != tape[:-1]]))
    rank = np.arange(len(tape)) - np.repeat(first, np.diff(np.append(first, len(tape))))
    return segments[order[rank < most]]
