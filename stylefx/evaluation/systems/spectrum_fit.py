"""The closed form: the chain's own bands, least squares on the difference of the average spectra of reference and input.

This is what match equalisers do, within the bands of the chain. It knows nothing of dynamics and nothing of what a recording
is: under the balance intent it is hard to beat, under the style intent it copies the other recording's arrangement.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from stylefx.effects.chain import EffectChain
from stylefx.evaluation.pairs import Pair
from stylefx.evaluation.systems.bands import at_loudness_of, band_averages, fit_equaliser
from stylefx.evaluation.systems.base import System, SystemOutput


class SpectrumFit(System):
    """Equaliser by least squares, loudness of the reference, no compression."""

    name, title = "spectrum-fit", "spectrum fit"

    def __init__(self, chain: EffectChain, parallel_map: Callable[..., Any] = map):
        self.chain, self.map = chain, parallel_map

    def __call__(self, pairs: Sequence[Pair]) -> list[SystemOutput]:
        return list(self.map(self._one, pairs))

    def _one(self, pair: Pair) -> SystemOutput:
        if not (np.any(pair.input) and np.any(pair.reference)):
            return SystemOutput(np.array(pair.input, np.float32), self.chain.complete(None))
        have, want = (band_averages(x, pair.sample_rate)[0] for x in (pair.input, pair.reference))
        entries = fit_equaliser(self.chain, want - have, pair.sample_rate)
        return SystemOutput(*at_loudness_of(self.chain, pair.input, entries, pair.reference, pair.sample_rate))
