"""Functional parameter error: 0 for equal functions, known numbers for known differences."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.signal

from stylefx.effects.presets import deepafx_st_chain
from stylefx.evaluation.metrics.parameters import eq_error_db, error_grid, functional_error

CHAIN = deepafx_st_chain()
RATE = 24000


def settings(**changes: float) -> list[dict]:
    """Neutral equaliser and a working compressor, with changes by parameter name."""
    work = {"threshold_db": -40.0, "ratio": 4.0, "attack_ms": 5.0, "release_ms": 80.0, "knee_db": 0.0, **changes}
    out = CHAIN.settings(CHAIN.default_controls)
    for entry in out:
        entry["settings"].update({k: v for k, v in work.items() if k in entry["settings"]})
    return out


def test_equal_settings_have_no_error():
    assert functional_error(settings(), settings(), CHAIN, RATE) == dict.fromkeys(
        ("eq_db", "static_db", "attack_octaves", "release_octaves"), 0.0
    )


def test_eq_error_is_that_of_independent_curves_about_their_means():
    a = 10 ** (9.0 / 40)
    w = 2 * np.pi * 1000 / RATE
    alpha = np.sin(w) / (2 * 0.707)
    grid = error_grid(RATE)
    _, h = scipy.signal.freqz(
        [1 + alpha * a, -2 * np.cos(w), 1 - alpha * a], [1 + alpha / a, -2 * np.cos(w), 1 - alpha / a], grid, fs=RATE
    )
    curve = 20 * np.log10(np.abs(h))
    found = functional_error(settings(band2_gain_db=9.0, band2_cutoff_hz=1000.0, band2_q=0.707), settings(), CHAIN, RATE)
    assert found["eq_db"] == pytest.approx(curve.std(), rel=1e-4)
    assert eq_error_db(curve + 5.0, curve) == pytest.approx(0.0, abs=1e-12)


def test_the_same_curve_made_by_another_band_is_no_error():
    one = settings(band1_gain_db=6.0, band1_cutoff_hz=1200.0, band1_q=1.0)
    other = settings(band2_gain_db=6.0, band2_cutoff_hz=1200.0, band2_q=1.0)
    assert functional_error(one, other, CHAIN, RATE)["eq_db"] < 1e-6


def test_static_error_equals_the_difference_of_hand_made_curves():
    level = np.arange(-60.0, -5.0, 1.0)
    curves = [np.where(level > t, t + (level - t) / r, level) + m for t, r, m in ((-40.0, 4.0, 0.0), (-30.0, 2.0, 3.0))]
    expected = np.sqrt(np.mean((curves[0] - curves[1]) ** 2))
    found = functional_error(settings(threshold_db=-30.0, ratio=2.0, makeup_gain_db=3.0), settings(), CHAIN, RATE)
    assert found["static_db"] == pytest.approx(expected, rel=1e-9)
    assert found["eq_db"] == 0


def test_times_are_octaves_where_the_truth_compresses():
    found = functional_error(settings(attack_ms=10.0, release_ms=20.0), settings(), CHAIN, RATE)
    assert found["attack_octaves"] == pytest.approx(1.0)
    assert found["release_octaves"] == pytest.approx(2.0)
    idle = functional_error(settings(attack_ms=10.0), settings(threshold_db=-5.0), CHAIN, RATE)
    assert math.isnan(idle["attack_octaves"])
    assert idle["static_db"] > 5


def test_a_gain_moved_from_the_equaliser_to_the_make_up_is_no_error():
    """A shelf whose cutoff lies at the upper end raises everything below alike."""
    raised = settings(low_shelf_gain_db=6.0, low_shelf_cutoff_hz=10800.0, low_shelf_q=0.707)
    _, response = scipy.signal.sosfreqz(CHAIN.effects[0].sections(raised[0]["settings"], RATE), error_grid(RATE), fs=RATE)
    gain_db = float((20 * np.log10(np.abs(response))).mean())
    raised[1]["settings"].update(threshold_db=-40.0 + gain_db, makeup_gain_db=-gain_db)
    assert gain_db > 4
    assert functional_error(raised, settings(), CHAIN, RATE)["static_db"] < 1e-3
