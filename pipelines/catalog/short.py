"""Short recordings, of which too few hashes are shared to go by their number: compared peak by peak at one offset.

A shift that is no whole number of hops moves peaks by one, so that of a word a hash or two stay what they were. Its peaks are all
still there, beside where they were: most of those of the shorter recording lie at peaks of the other. In other words of the
same voice some do, too; one held vowel does at a single time.
"""

from __future__ import annotations

import numpy as np

from pipelines.catalog.landmarks import places_of

#: peaks of a recording that counts as short: some five seconds
MOST_PEAKS = 66
#: shared hashes that make an offset worth trying
MIN_AGREEING = 3
#: peaks that must meet, their share of the shorter recording's, and at how many times
MIN_PEAKS, MIN_PEAK_SHARE, MIN_TIMES = 7, 0.6, 3
_NEAR_HOPS, _NEAR_BINS = 1, 1


def is_short(peaks: np.ndarray) -> bool:
    """Whether few peaks, uint32 (n,) as of ``LandmarkMeter``, are all that a recording has."""
    return len(peaks) <= MOST_PEAKS


def lies_in(a: np.ndarray, b: np.ndarray, offset: int) -> bool:
    """Whether most peaks of the shorter of two recordings meet peaks of the other, where a's lie ``offset`` hops later."""
    fewest = min(len(a), len(b))
    (a_hop, a_bin), (b_hop, b_bin) = places_of(a), places_of(b)
    b_hop += offset
    first, end = np.searchsorted(b_hop, [a_hop[0] - _NEAR_HOPS, a_hop[-1] + _NEAR_HOPS + 1])
    near = np.abs(a_hop[:, None] - b_hop[first:end]) <= _NEAR_HOPS
    near &= np.abs(a_bin[:, None] - b_bin[first:end]) <= _NEAR_BINS
    met = near.any(axis=1)
    both = min(int(met.sum()), int(near.any(axis=0).sum()))
    return both >= max(MIN_PEAKS, MIN_PEAK_SHARE * fewest) and len(np.unique(a_hop[met])) >= MIN_TIMES
