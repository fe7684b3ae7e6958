"""Which other samples lend a sample its references: a keyed choice among the kept samples of the same split and generation.

Every other group of the sample's kind is as likely as the next, then every sample of that group. The kept segments of a
split are in memory at once, 24 bytes each.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipelines.manifest.model import Manifest
from pipelines.plan.hash import words
from stylefx.errors import ManifestError

#: where a reference is the sample's own other half
OWN = -1


def draw_partners(
    manifest: Manifest,
    order: np.ndarray,
    kind: np.ndarray,
    group: np.ndarray,
    split: str,
    kinds: Sequence[str],
    groups: Sequence[str],
) -> tuple[np.ndarray, np.ndarray]:
    """(number of the lending sample or OWN, half 0 or 1), int64 (n, count) each.

    order: hash of each sample, uint64 (n,), which keys its draws; kind: samples of equal kinds may lend to one another; group:
    code of its group; ``kinds`` and ``groups`` name the codes. ManifestError where a kind has a single group.
    """
    rule, seed, n = manifest.reference, manifest.seed, len(order)
    other = _units(words(seed, "reference other", order, 1)[:, 0]) < rule.other_share
    by_cell = np.lexsort((order, group, kind))
    new = np.ones(n, bool)
    new[1:] = (np.diff(kind[by_cell]) != 0) | (np.diff(group[by_cell]) != 0)
    first = np.flatnonzero(new)  # of every cell, a group within a kind
    size = np.diff(np.append(first, n))
    cell = np.empty(n, np.int64)
    cell[by_cell] = np.cumsum(new) - 1
    cell_kind = kind[by_cell[first]]
    begin = np.searchsorted(cell_kind, kind, side="left")
    others = np.searchsorted(cell_kind, kind, side="right") - begin - 1
    alone = np.flatnonzero(other & (others == 0))
    if len(alone):
        raise _alone(manifest, split, kinds[kind[alone[0]]], groups[group[alone[0]]])
    partner = np.full((n, rule.count), OWN, np.int64)
    half = np.ones((n, rule.count), np.int64)
    lone = np.maximum(others, 1)
    for r in range(rule.count):
        draws = words(seed, f"reference {r}", order, 3)
        which = (_scaled(words(seed, "reference group", order, 1)[:, 0], lone) + r * np.maximum(lone // rule.count, 1)) % lone
        at = begin + which + (begin + which >= cell)
        at = np.where(other, at, 0)
        found = by_cell[first[at] + _scaled(draws[:, 1], size[at])]
        partner[:, r] = np.where(other, found, OWN)
        half[:, r] = np.where(other, draws[:, 2] >> np.uint64(63), 1)
    return partner, half


def _units(word: np.ndarray) -> np.ndarray:
    return (word >> np.uint64(11)) * 2.0**-53


def _scaled(word: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Uniform in 0..count-1, int64 (n,)."""
    return np.asarray(np.minimum((_units(word) * count).astype(np.int64), count - 1))


def _alone(manifest: Manifest, split: str, kind: str, group: str) -> ManifestError:
    what = kind.replace("\n", " ").strip()
    shared = f" with the {manifest.reference.match} {what!r}" if what else ""
    return ManifestError(
        f"the split {split!r} has a single group{shared}, {group!r}, so its samples find no reference of another group; pin more "
        f"groups into split.{split}, match less (reference.match: any), or write reference: {{from: same}}"
    )
