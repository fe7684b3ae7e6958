"""Keyed 64-bit words for millions of items at once: an integer mixer over arrays of uint64.

A word is a pure function of (seed, purpose, item). Where an item is one recording, ``stylefx.keyed`` is used instead.
"""

from __future__ import annotations

import numpy as np

from stylefx.keyed import integer

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def mix64(x: np.ndarray) -> np.ndarray:
    """A bijection of uint64 that scatters every bit (the finaliser of splitmix64, twice). Returns a new array."""
    x = x.astype(np.uint64, copy=True)
    for _ in range(2):
        x += _GOLDEN
        x ^= x >> np.uint64(30)
        x *= np.uint64(0xBF58476D1CE4E5B9)
        x ^= x >> np.uint64(27)
        x *= np.uint64(0x94D049BB133111EB)
        x ^= x >> np.uint64(31)
    return x


def words(seed: int, purpose: str, items: np.ndarray, count: int) -> np.ndarray:
    """uint64 (n,) -> keyed words, uint64 (n, count)."""
    out = np.empty((len(items), count), np.uint64)
    for j in range(count):
        out[:, j] = mix64(items ^ np.uint64(integer(seed, purpose, j)))
    return out


def tape_hashes(identities: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Hash of the ordered members of each tape. identities: uint64 (members,), tape after tape; starts: (tapes,)."""
    counts = np.diff(np.append(starts, len(identities)))
    place = np.arange(len(identities)) - np.repeat(starts, counts)
    scattered = mix64(identities + mix64(place.astype(np.uint64) + np.uint64(1)))
    return mix64(np.add.reduceat(scattered, starts) + counts.astype(np.uint64)) if len(starts) else np.empty(0, np.uint64)


def segment_hashes(tapes: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """The hash that orders segments and keys their draws: of the tape's hash and the segment's index."""
    return mix64(tapes ^ mix64(indices.astype(np.uint64) + _GOLDEN))
