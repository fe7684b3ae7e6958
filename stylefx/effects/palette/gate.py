"""Noise gate: a steep downward expander whose level is held."""

from __future__ import annotations

import numpy as np

from stylefx.effects.base import Effect, Settings
from stylefx.effects.checks import require_at_least, require_positive
from stylefx.effects.kernels.dynamics import DynamicsProcess, Reduction
from stylefx.effects.parameters import Parameter
from stylefx.effects.registry import register

SLOPE = 20.0


@register
class Gate(Effect):
    """Closes below the threshold, by ``range_db``; float32 (channels, samples), any rate, channels linked by their maximum.

    The level is the largest |x| of the last round(hold_ms fs / 1000) + 1 samples, so that the gate stays open over the
    zero crossings and for the hold time. Reduction min(20 k(threshold - L), range), knee as in ``dynamics.soft_knee``;
    the attack smooths where it falls (opening), the release where it rises (Giannoulis, Massberg, Reiss, JAES 60(6), 2012;
    U. Zolzer, DAFX, section 4.2). The default threshold is the lowest.
    """

    name = "gate"
    parameters = (
        Parameter("threshold_db", "dB", -80.0, 0.0, -80.0),
        Parameter("hold_ms", "ms", 1.0, 500.0, 20.0, "log"),
        Parameter("attack_ms", "ms", 0.1, 100.0, 1.0, "log"),
        Parameter("release_ms", "ms", 5.0, 1000.0, 100.0, "log"),
        Parameter("knee_db", "dB", 0.0, 12.0, 0.0),
        Parameter("range_db", "dB", 0.0, 80.0, 60.0),
    )

    def validate(self, settings: Settings) -> None:
        require_positive(self.name, settings, "attack_ms", "release_ms")
        require_at_least(self.name, settings, 0.0, "hold_ms", "knee_db", "range_db")

    def reduction(self, settings: Settings) -> Reduction:
        return Reduction(
            upper=False,
            threshold_db=settings["threshold_db"],
            slope=SLOPE,
            knee_db=settings["knee_db"],
            limit_db=settings["range_db"],
            rise_ms=settings["release_ms"],
            fall_ms=settings["attack_ms"],
        )

    def window(self, settings: Settings, sample_rate: float) -> int:
        """Samples over which the level is held, the present one included."""
        return round(settings["hold_ms"] * 1e-3 * sample_rate) + 1

    def start(self, settings: Settings, sample_rate: float, channels: int) -> DynamicsProcess:
        return DynamicsProcess(self.reduction(settings), 0.0, sample_rate, hold=self.window(settings, sample_rate))

    def static_curve_db(self, settings: Settings | None, levels_db: np.ndarray) -> np.ndarray:
        """Output level of a steady input, dB -> dB, any shape."""
        levels_db = np.asarray(levels_db, dtype=np.float64)
        return levels_db - self.reduction(self.complete(settings)).steady_db(levels_db)
