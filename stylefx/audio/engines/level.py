"""The level at which an engine works, whatever the level of the audio: none is linear over all that float samples can hold.

Rubber Band's program cuts its output off at +-1, and where it sees silence or an attack depends on the level; Signalsmith
Stretch takes what is near 1e-6 for noise and lowers it by decibels; squares of float32 leave its range.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

_MOST = 126  # powers of two that float32 and their inverses hold as normal numbers


def working_gain(audio: np.ndarray, peak: float) -> float:
    """The power of two, so that no bit is lost, that brings the peak of float32 audio to ``peak`` / 2 .. ``peak``, itself a
    power of two; 1 for silence. Audio beyond 2**126 times fainter or louder comes as near as that takes it."""
    highest = max(float(audio.max(initial=0.0)), -float(audio.min(initial=0.0)))
    if highest == 0.0:
        return 1.0
    exponent = math.frexp(peak)[1] - 1 - math.frexp(highest)[1]
    return math.ldexp(1.0, max(-_MOST, min(_MOST, exponent)))
