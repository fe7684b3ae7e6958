"""Harm: how often a system leaves an item further from the truth than the input was, and how far it goes the way it should.

An item is harmed when its distance grew by more than a tolerance below which nobody hears a difference: 0.25 dB of the mean
third-octave difference, 2 % of the MR-STFT distance. Items whose input is that near to the truth already have nothing to
gain; they are no part of the rate and are reported by how far they were moved.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from stylefx.evaluation.summary import Numbers, Summary, summarise, summarise_ratio

OCTAVE_DB = 0.25
MR_STFT_SHARE = 0.02
_Z = 1.959964  # of a 95 % interval


def harm_in_db(before: Numbers, after: Numbers, groups: Sequence[str], seed: int = 0) -> Summary:
    """Share of the items whose third-octave distance (dB) grew by more than 0.25 dB."""
    before, after = np.asarray(before, np.float64), np.asarray(after, np.float64)
    return _rate(after > before + OCTAVE_DB, np.isfinite(before) & np.isfinite(after), groups, seed)


def harm_in_share(before: Numbers, after: Numbers, groups: Sequence[str], seed: int = 0) -> Summary:
    """Share of the items whose MR-STFT distance grew by more than 2 %."""
    before, after = np.asarray(before, np.float64), np.asarray(after, np.float64)
    return _rate(after > before * (1.0 + MR_STFT_SHARE), np.isfinite(before) & np.isfinite(after), groups, seed)


def _rate(harmed: np.ndarray, known: np.ndarray, groups: Sequence[str], seed: int) -> Summary:
    """A share with an interval: the wider of the bootstrap's and Wilson's, since a bootstrap of equal values has no width."""
    found = summarise(np.where(known, harmed.astype(np.float64), np.nan), groups, seed)
    if not found.count:
        return found
    low, high = wilson(found.mean, found.count)
    return replace(found, low=min(low, found.low), high=max(high, found.high))


def wilson(share: float, count: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share of ``count`` independent items (E. B. Wilson, JASA 22, 1927)."""
    centre = (share + _Z**2 / (2 * count)) / (1 + _Z**2 / count)
    half = _Z * math.sqrt(share * (1 - share) / count + _Z**2 / (4 * count**2)) / (1 + _Z**2 / count)
    return max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half))


def nothing_to_do(mr_stft: Sequence[float], octave_db: Sequence[float] | None = None) -> np.ndarray:
    """Items whose input is as good as the truth, bool (items,): MR-STFT below 2 % of the items' mean and, where it is measured,
    third octaves within 0.25 dB."""
    distance = np.asarray(mr_stft, np.float64)
    finite = distance[np.isfinite(distance)]
    near = distance < MR_STFT_SHARE * finite.mean() if len(finite) else np.zeros(len(distance), bool)
    near |= distance == 0.0
    return near if octave_db is None else near & (np.asarray(octave_db, np.float64) < OCTAVE_DB)


def way_gone(before: Numbers, after: Numbers, oracle: Numbers, groups: Sequence[str], seed: int = 0) -> Summary:
    """Share of the way from the input's distance to the oracle's, over the items that the oracle solved: 0 is the input, 1 the
    oracle, negative is further away. Ratio of means."""
    before, after, oracle = (np.asarray(v, np.float64) for v in (before, after, oracle))
    return summarise_ratio(before - after, before - oracle, groups, seed)
