"""Curves of settings equal what the effects do to signals, and the cookbook's formulas."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.signal

from stylefx.effects.curves import erb_grid, response_db, static_curve_db
from stylefx.effects.registry import make_effect


def cookbook_peak(gain_db: float, cutoff_hz: float, q: float, rate: float) -> tuple[np.ndarray, np.ndarray]:
    """RBJ's peaking section as digital coefficients."""
    a, w = 10 ** (gain_db / 40), 2 * np.pi * cutoff_hz / rate
    alpha = np.sin(w) / (2 * q)
    return np.array([1 + alpha * a, -2 * np.cos(w), 1 - alpha * a]), np.array([1 + alpha / a, -2 * np.cos(w), 1 - alpha / a])


@pytest.mark.parametrize("rate", [24000, 44100])
def test_response_of_an_eq_equals_the_cookbook(rate):
    settings = {"band1_gain_db": -11.0, "band1_cutoff_hz": 700.0, "band1_q": 3.0, "band3_gain_db": 8.0, "band3_cutoff_hz": 5000.0}
    steps = [{"effect": "parametric_eq", "settings": {**settings, "band3_q": 0.8}}]
    frequency = erb_grid(30, 0.45 * rate)
    expected = np.zeros(len(frequency))
    for gain, cutoff, q in ((-11.0, 700.0, 3.0), (8.0, 5000.0, 0.8)):
        expected += 20 * np.log10(np.abs(scipy.signal.freqz(*cookbook_peak(gain, cutoff, q, rate), worN=frequency, fs=rate)[1]))
    np.testing.assert_allclose(response_db(steps, rate, frequency), expected, atol=1e-3)


def test_response_passes_over_bypassed_and_nonlinear_steps():
    eq = {"effect": "parametric_eq", "settings": {"band1_gain_db": 12.0}}
    squash = {"effect": "compressor", "settings": {"ratio": 8.0, "threshold_db": -60.0}}
    frequency = erb_grid(50, 10000)
    np.testing.assert_array_equal(response_db([eq, squash], 24000, frequency), response_db([eq], 24000, frequency))
    assert np.abs(response_db([{**eq, "bypass": True}], 24000, frequency)).max() < 1e-6


@pytest.mark.parametrize(
    ("effect", "settings"),
    [
        ("compressor", {"threshold_db": -30.0, "ratio": 4.0, "knee_db": 12.0, "makeup_gain_db": 3.0}),
        ("compressor", {"threshold_db": -20.0, "ratio": 2.0, "knee_db": 0.0, "makeup_gain_db": 0.0}),
        ("expander", {"threshold_db": -35.0, "ratio": 3.0, "knee_db": 6.0, "range_db": 40.0, "makeup_gain_db": 0.0}),
    ],
)
def test_static_curve_is_what_steady_levels_become(effect, settings):
    times = {"attack_ms": 1.0, "release_ms": 5.0}
    level = np.arange(-70.0, -1.0, 3.7)
    measured = []
    for value in level:
        steady = np.full((1, 4000), 10 ** (value / 20), np.float32)
        measured.append(20 * np.log10(np.abs(make_effect(effect).render(steady, {**settings, **times}, 24000)[0, -1])))
    np.testing.assert_allclose(static_curve_db(effect, settings, level), measured, atol=2e-3)


def test_the_erb_grid_is_fine_where_hearing_is():
    grid = erb_grid(20, 20000, 64)
    assert grid[0] == pytest.approx(20)
    assert grid[-1] == pytest.approx(20000)
    assert (np.diff(grid) > 0).all()
    bandwidth = 24.7 * (0.00437 * grid[1:-1] + 1)
    spacing_in_erbs = (grid[2:] - grid[:-2]) / 2 / bandwidth
    assert spacing_in_erbs.max() / spacing_in_erbs.min() < 1.02
