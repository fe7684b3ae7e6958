"""Linkwitz-Riley crossovers of fourth order (S. Linkwitz, "Active crossover networks for noncoincident drivers", JAES
24(1), 1976): two Butterworth sections each way; both ways sum to an all-pass of second order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stylefx.effects.kernels.biquad import design

BUTTERWORTH_Q = 0.5**0.5


def band_sections(crossovers_hz: Sequence[float], sample_rate: float) -> list[np.ndarray]:
    """One cascade per band, lowest first, float64 (sections, 6).

    Band b passes the high-passes of all crossovers below it, the low-pass of the one above, and the all-passes of the
    others above: so the bands add up to the product of all all-passes, whose magnitude is 1.
    """

    def sections(kind: str, cutoff_hz: float, times: int) -> list[tuple[float, ...]]:
        return design(kind, cutoff_hz, BUTTERWORTH_Q, sample_rate) * times

    bands = []
    for band in range(len(crossovers_hz) + 1):
        plan = [("high_pass", f, 2) for f in crossovers_hz[:band]]
        plan += [("low_pass", f, 2) for f in crossovers_hz[band : band + 1]]
        plan += [("all_pass", f, 1) for f in crossovers_hz[band + 1 :]]
        bands.append(np.array([section for way in plan for section in sections(*way)]))
    return bands
