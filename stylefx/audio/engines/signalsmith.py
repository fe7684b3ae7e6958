"""Signalsmith Stretch (package python-stretch, MIT): one time-stretch call, then one resampling.

The library can transpose by itself, but its map of spectral peaks leaves the pitch up to ten cents off, most at low
frequencies (at 24 kHz typically 2 to 6 cents sharp below 1 kHz, whatever the direction). Its time stretch alone is
exact: each bin's phase advances by what the input's did. So the pitch comes from the sample rate: stretch in time by
ratio / tempo, ratio = 2 ** (cents / 1200), then play ``ratio`` times faster through soxr.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from stylefx.audio.engines.length import fit_frames
from stylefx.audio.resampling import resample
from stylefx.errors import UserError
from stylefx.extras import install_line

if TYPE_CHECKING:
    import numpy as np

_SEED = 1  # of the library's noise for very slow stretches


class Signalsmith:
    name = "signalsmith"
    working_peak = 64.0  # far above the level that the library takes for noise; from 2 to 1024 the output is the same

    def preflight(self) -> str:
        from importlib.metadata import version

        _library()
        return f"signalsmith (python-stretch {version('python-stretch')})"

    def __call__(self, audio: np.ndarray, sample_rate: int, pitch_cents: float, tempo: float, out_frames: int) -> np.ndarray:
        ratio = 2.0 ** (pitch_cents / 1200.0)
        speed = tempo / ratio
        if speed == 1.0:
            stretched = audio
        else:
            stretch = _library()(_SEED)
            stretch.preset(audio.shape[0], float(sample_rate))
            shortest = 2 * (stretch.inputLatency() + stretch.outputLatency())
            needed = max(audio.shape[1], math.ceil(shortest * max(1.0, speed)))
            stretch.setTimeFactor(speed)
            stretched = stretch.process(fit_frames(audio, needed))
            stretched = stretched[:, : math.ceil(audio.shape[1] / speed)]
        if ratio == 1.0:
            return stretched
        return resample(stretched, sample_rate * ratio, sample_rate, out_frames=out_frames)


def _library() -> Any:
    try:
        from python_stretch.Signalsmith import Stretch
    except ImportError as error:
        raise UserError(
            f"the engine signalsmith needs python-stretch ({error}); install it with: {install_line('pipe')}"
        ) from None
    return Stretch
