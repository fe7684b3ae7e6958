"""Which recordings are left out before anything is planned, and why: arrays in, reason codes out."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from pipelines.manifest.model import Filters

#: reasons in the order in which they are tried; the first that holds is counted
UNREADABLE, NO_GROUP, SAME_AS_EARLIER, DUPLICATE = "unreadable", "no group", "in an earlier generation", "duplicate"
LICENCE, NEAR, NEAR_EARLIER = "licence not wanted", "near duplicate", "near duplicate of an earlier generation"
TORN = "near duplicate in another split"


#: manifest field -> (catalog column, whether it is a lower limit, reason)
THRESHOLDS = {
    "min_duration_s": ("duration_s", True, "too short"),
    "max_duration_s": ("duration_s", False, "too long"),
    "min_sample_rate": ("sample_rate", True, "sample rate too low"),
    "min_lufs": ("lufs", True, "too quiet"),
    "max_lufs": ("lufs", False, "too loud"),
    "max_silence_share": ("silence_share", False, "too much silence"),
    "max_clipping_share": ("clipping_share", False, "clipped"),
    "min_bandwidth_hz": ("bandwidth_hz", True, "bandwidth too small"),
    "max_dc": ("dc", False, "DC offset"),
    "min_correlation": ("correlation", True, "channels out of phase"),
    "max_correlation": ("correlation", False, "channels too alike"),
}


def threshold_reasons(filters: Filters, columns: Mapping[str, np.ndarray]) -> tuple[np.ndarray, list[str]]:
    """Index of the first reason for each recording, or -1: int16 (n,), and the reasons.

    A value that is not defined (NaN: correlation of mono, loudness of less than 0.4 s) passes, but for a lower limit of
    loudness, which silence must not pass.
    """
    n = len(columns["duration_s"])
    codes, reasons = np.full(n, -1, np.int16), list[str]()
    for field, (column, lower, reason) in THRESHOLDS.items():
        limit = getattr(filters, field)
        if limit is None:
            continue
        values = columns[column]
        bad = values < limit if lower else values > limit
        codes[(codes < 0) & bad] = len(reasons)
        reasons.append(reason)
    return codes, reasons


def needed_columns(filters: Filters) -> list[str]:
    """Catalog columns that the set thresholds look at (``duration_s`` is derived and not among them)."""
    used = {column for field, (column, _, _) in THRESHOLDS.items() if getattr(filters, field) is not None}
    return sorted(used - {"duration_s", "sample_rate"})


def drop_duplicates(content: np.ndarray, identities: np.ndarray, names: Callable[[int], str] | None = None) -> np.ndarray:
    """Which recordings repeat another's samples: bool (n,). Of equal ones the smallest identity stays.

    content: uint64 (n, 2); identities: uint64 (n,), equal only for equal recordings; names: callable index -> identity text
    for the order among equals (they are few); without it the hash decides.
    """
    order = np.lexsort((content[:, 1], content[:, 0]))
    ordered = content[order]
    same = np.zeros(len(order), bool)
    same[1:] = (ordered[1:] == ordered[:-1]).all(axis=1)
    repeated = np.zeros(len(order), bool)
    firsts = np.flatnonzero(~same)
    sizes = np.diff(np.append(firsts, len(order)))
    for first, size in zip(firsts[sizes > 1], sizes[sizes > 1]):
        members = order[first : first + size]
        keep = min(members, key=names) if names is not None else min(members, key=lambda i: int(identities[i]))
        repeated[members] = True
        repeated[keep] = False
    return repeated
