"""Functional parameter error: how far apart two settings are in what they do, not in their numbers.

Two equalisers with different bands may have one curve; a flat gain may sit in the equaliser, before the threshold or in the
make-up. So curves are compared:

* ``eq_db``: RMS difference of the two responses on an ERB grid, each about its own mean;
* ``static_db``: RMS difference of the output levels over steady input levels of -60..-6 dBFS, each equaliser counted with its
  mean gain;
* ``attack_octaves``, ``release_octaves``: |log2(predicted / true)|, where the true compressor reduces a peak of -12 dBFS by
  1 dB or more.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from stylefx.audio.levels import DEFAULT_LEVEL
from stylefx.effects.chain import EffectChain
from stylefx.effects.curves import erb_grid, response_db, static_curve_db, with_configs

ERRORS = ("eq_db", "static_db", "attack_octaves", "release_octaves")
LEVELS_DB = np.arange(-60.0, -5.0, 1.0)
PEAK_DBFS = DEFAULT_LEVEL.value
AUDIBLE_REDUCTION_DB = 1.0
LOWEST_HZ = 40.0


def error_grid(sample_rate: float) -> np.ndarray:
    """64 frequencies from 40 Hz to 0.9 Nyquist on the ERB-rate scale."""
    return erb_grid(LOWEST_HZ, 0.45 * sample_rate, 64)


def eq_error_db(predicted_db: np.ndarray, true_db: np.ndarray) -> float:
    """RMS of the difference of two curves in dB on the ERB grid, up to a constant."""
    difference = predicted_db - true_db
    return float(np.sqrt(np.mean(np.square(difference - difference.mean()))))


def functional_error(
    predicted: Sequence[Mapping[str, Any]], truth: Sequence[Mapping[str, Any]], chain: EffectChain, sample_rate: float
) -> dict[str, float]:
    """Errors of two settings of one chain; NaN where the chain has no compressor or the truth does not compress."""
    grid = error_grid(sample_rate)
    curves = [response_db(with_configs(chain, settings), sample_rate, grid) for settings in (predicted, truth)]
    errors = dict.fromkeys(ERRORS, math.nan)
    errors["eq_db"] = eq_error_db(*curves)
    have, want = _compressor(predicted), _compressor(truth)
    if have is None or want is None:
        return errors
    levels = [static_curve_db("compressor", c, LEVELS_DB + curve.mean()) for c, curve in zip((have, want), curves, strict=True)]
    errors["static_db"] = float(np.sqrt(np.mean(np.square(levels[0] - levels[1]))))
    if reduction_db(want, PEAK_DBFS + curves[1].mean()) >= AUDIBLE_REDUCTION_DB:
        for name in ("attack", "release"):
            errors[f"{name}_octaves"] = abs(math.log2(have[f"{name}_ms"] / want[f"{name}_ms"]))
    return errors


def reduction_db(settings: Mapping[str, float], level_dbfs: float) -> float:
    """By how much a compressor lowers a steady level, make-up aside."""
    return float(level_dbfs + settings["makeup_gain_db"] - static_curve_db("compressor", settings, np.array(level_dbfs)))


def _compressor(settings: Sequence[Mapping[str, Any]]) -> Mapping[str, float] | None:
    return next((s["settings"] for s in settings if s["effect"] == "compressor"), None)
