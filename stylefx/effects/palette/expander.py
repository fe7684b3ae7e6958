"""Downward expander: the mirror image of the compressor below its threshold (see ``dynamics``)."""

from __future__ import annotations

import numpy as np

from stylefx.effects.base import Effect, Settings
from stylefx.effects.checks import require_at_least, require_positive
from stylefx.effects.kernels.dynamics import DynamicsProcess, Reduction
from stylefx.effects.parameters import Parameter
from stylefx.effects.registry import register


@register
class Expander(Effect):
    """Feed-forward, soft knee, smoothed reduction; float32 (channels, samples), any rate, channels linked by their maximum.

    Reduction min((ratio - 1) k(threshold - L), range), knee as in ``dynamics.soft_knee`` (Giannoulis, Massberg, Reiss, JAES
    60(6), 2012, mirrored). The attack opens: it smooths where the reduction falls; the release closes, where it rises.
    """

    name = "expander"
    parameters = (
        Parameter("threshold_db", "dB", -80.0, 0.0, -40.0),
        Parameter("ratio", "", 1.0, 10.0, 1.0, "log"),
        Parameter("attack_ms", "ms", 0.1, 100.0, 5.0, "log"),
        Parameter("release_ms", "ms", 5.0, 1000.0, 100.0, "log"),
        Parameter("knee_db", "dB", 0.0, 12.0, 6.0),
        Parameter("range_db", "dB", 0.0, 80.0, 60.0),
        Parameter("makeup_gain_db", "dB", -48.0, 48.0, 0.0),
    )

    def validate(self, settings: Settings) -> None:
        require_at_least(self.name, settings, 1.0, "ratio")
        require_positive(self.name, settings, "attack_ms", "release_ms")
        require_at_least(self.name, settings, 0.0, "knee_db", "range_db")

    def reduction(self, settings: Settings) -> Reduction:
        return Reduction(
            upper=False,
            threshold_db=settings["threshold_db"],
            slope=settings["ratio"] - 1.0,
            knee_db=settings["knee_db"],
            limit_db=settings["range_db"],
            rise_ms=settings["release_ms"],
            fall_ms=settings["attack_ms"],
        )

    def start(self, settings: Settings, sample_rate: float, channels: int) -> DynamicsProcess:
        return DynamicsProcess(self.reduction(settings), settings["makeup_gain_db"], sample_rate)

    def static_curve_db(self, settings: Settings | None, levels_db: np.ndarray) -> np.ndarray:
        """Output level of a steady input, dB -> dB, any shape."""
        full = self.complete(settings)
        levels_db = np.asarray(levels_db, dtype=np.float64)
        return levels_db - self.reduction(full).steady_db(levels_db) + full["makeup_gain_db"]


def static_curve_db(settings: Settings | None, levels_db: np.ndarray) -> np.ndarray:
    """``Expander.static_curve_db`` without an instance."""
    return Expander().static_curve_db(settings, levels_db)
