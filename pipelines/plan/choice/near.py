"""The same audio under several names: what keeps it on one side of a split, or keeps one of it.

The catalog says which recordings hold the same audio (``near``). Groups that share some stay together in one split and never
lend one another a reference; with ``near_duplicates: drop`` the longest, widest recording of a cluster stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from pipelines.catalog.near import Fingerprints
from pipelines.catalog.recordings import Recordings


def joined_groups(recordings: Recordings, keep: np.ndarray | None = None) -> np.ndarray:
    """Of every group the one that stands for all that share audio with it, directly or over others: of their codes the one whose
    name comes first, int64 (groups,). ``keep`` (n,): recordings that count."""
    names = recordings.group.names
    parent = list(range(len(names)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    near, group = recordings.near.codes, recordings.group.codes
    alone = np.array([name == "" for name in recordings.near.names], bool)
    counted = ~alone[near] if len(near) else np.zeros(0, bool)
    counted = counted if keep is None else counted & keep
    first: dict[int, int] = {}
    for cluster, code in np.unique(np.stack([near[counted], group[counted]], 1), axis=0).tolist():
        if names[code]:
            a, b = root(first.setdefault(cluster, code)), root(code)
            if a != b:
                a, b = sorted((a, b), key=lambda i: names[i])
                parent[b] = a
    return np.array([root(i) for i in range(len(names))], np.int64)


def all_but_one(recordings: Recordings, keep: np.ndarray) -> np.ndarray:
    """Which recordings go where one of each cluster stays, bool (n,): of the longest within a tenth the one of the highest
    rate, then the longest, then the first by name."""
    out = np.zeros(len(recordings), bool)
    for members in clusters(recordings, keep):
        seconds = recordings.frames[members] / np.maximum(recordings.sample_rate[members], 1)
        long = [i for i, s in zip(members, seconds, strict=True) if s >= 0.9 * seconds.max()]
        stays = min(long, key=lambda i: (-int(recordings.sample_rate[i]), -int(recordings.frames[i]), recordings.name(int(i))))
        out[members] = True
        out[stays] = False
    return out


def clusters(recordings: Recordings, keep: np.ndarray) -> list[np.ndarray]:
    """The rows of each cluster that has several recordings that count."""
    alone = np.array([name == "" for name in recordings.near.names], bool)
    rows = np.flatnonzero(keep & ~alone[recordings.near.codes]) if len(recordings) else np.zeros(0, np.int64)
    rows = rows[np.argsort(recordings.near.codes[rows], kind="stable")]
    ends = np.flatnonzero(np.diff(recordings.near.codes[rows])) + 1
    return [members for members in np.split(rows, ends) if len(members) > 1]


def torn(recordings: Recordings, keep: np.ndarray, group_split: np.ndarray) -> np.ndarray:
    """Which recordings would put the same audio on two sides of a split, as a growing corpus may: groups that it has keep their
    splits, so of such a cluster only what lies where its first recording does stays. bool (n,)."""
    out = np.zeros(len(recordings), bool)
    for members in clusters(recordings, keep):
        splits = group_split[recordings.group.codes[members]]
        first = min(range(len(members)), key=lambda i: recordings.name(int(members[i])))
        out[members[splits != splits[first]]] = True
    return out


def like_earlier(earlier: Sequence[Mapping[str, bytes]], names: Sequence[str], fingerprints: Sequence[bytes]) -> np.ndarray:
    """Which recordings hold the audio of one of an earlier generation, bool (n,). Maps: name -> fingerprint."""
    prints, known = Fingerprints(), [item for catalog in earlier for item in catalog.items()]
    for name, fingerprint in known:
        prints.add(f"earlier {name}", fingerprint)
    for name, fingerprint in zip(names, fingerprints, strict=True):
        prints.add(f"new {name}", fingerprint)
    found = prints.clusters()
    old = {found[i] for i in range(len(known)) if i in found}
    return np.array([found.get(len(known) + i) in old for i in range(len(names))], bool)
