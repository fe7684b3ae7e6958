"""Renders equal float64 references to 1e-6 relative RMS, over seeded draws and in the corners."""

from __future__ import annotations

import numpy as np
import pytest

from stylefx.effects.compressor import Compressor
from stylefx.effects.expander import Expander
from stylefx.effects.parametric_eq import ParametricEq
from tests.effects.references import compress, equalise, expand, programme, relative_rms

DRAWS = 150


def draw(effect, rng):
    return {p.name: p.from_control(rng.random()) for p in effect.parameters}


def eq_bands(effect, settings):
    return [
        (kind, settings.get(f"{name}_gain_db", 0.0), settings[f"{name}_cutoff_hz"], settings[f"{name}_q"])
        for name, kind, _, _ in effect.bands
    ]


ALL_KINDS = [{"kind": k} for k in ("high_pass", "low_shelf", "peak", "notch", "high_shelf", "low_pass", "peak")]


@pytest.mark.parametrize("effect", [ParametricEq(), ParametricEq("full-band"), ParametricEq(bands=ALL_KINDS)], ids=["st", "full", "all"])
def test_equaliser_equals_float64_sections_over_its_ranges(effect):
    rng = np.random.default_rng(1)
    worst = 0.0
    for i in range(DRAWS):
        rate = (24000, 44100, 48000, 96000)[i % 4]
        audio, settings = programme(rng, 1 + i % 2, 16384), draw(effect, rng)
        worst = max(worst, relative_rms(effect.render(audio, settings, rate), equalise(audio, eq_bands(effect, settings), rate)))
    assert worst <= 1e-6


@pytest.mark.parametrize("rate", [44100, 96000])
@pytest.mark.parametrize("kind", ["peak", "low_shelf", "high_shelf"])
@pytest.mark.parametrize("gain_db", [24.0, -24.0])
def test_equaliser_is_exact_in_the_corner_of_20_hz_and_q_10(rate, kind, gain_db):
    effect = ParametricEq(bands=[{"name": "b", "kind": kind}])
    settings = {"b_gain_db": gain_db, "b_cutoff_hz": 20.0, "b_q": 10.0}
    audio = programme(np.random.default_rng(2), 2, 131072)
    assert relative_rms(effect.render(audio, settings, rate), equalise(audio, eq_bands(effect, settings), rate)) <= 1e-6


@pytest.mark.parametrize(("effect", "reference"), [(Compressor(), compress), (Expander(), expand)], ids=["compressor", "expander"])
def test_dynamics_equal_the_float64_sample_loop_over_their_ranges(effect, reference):
    rng = np.random.default_rng(3)
    worst = 0.0
    for i in range(DRAWS):
        rate = (24000, 44100, 48000, 96000)[i % 4]
        audio, settings = programme(rng, 1 + i % 2, 16384), draw(effect, rng)
        worst = max(worst, relative_rms(effect.render(audio, settings, rate), reference(audio, settings, rate)))
    assert worst <= 1e-6


CORNERS = {
    "fastest attack": {"attack_ms": 0.1},
    "slowest release": {"release_ms": 1000.0},
    "release faster than attack": {"attack_ms": 100.0, "release_ms": 5.0},
    "equal times": {"attack_ms": 20.0, "release_ms": 20.0},
    "hard knee": {"knee_db": 0.0},
    "beyond the ranges": {"threshold_db": -95.0, "ratio": 60.0, "attack_ms": 0.01, "release_ms": 5000.0, "knee_db": 40.0},
}


@pytest.mark.parametrize("rate", [24000, 96000])
@pytest.mark.parametrize("corner", CORNERS.values(), ids=CORNERS)
@pytest.mark.parametrize(("effect", "reference"), [(Compressor(), compress), (Expander(), expand)], ids=["compressor", "expander"])
def test_dynamics_are_exact_in_the_corners(effect, reference, corner, rate):
    settings = effect.complete({"threshold_db": -30.0, "ratio": 8.0, **corner})
    audio = programme(np.random.default_rng(4), 2, 65536)
    assert relative_rms(effect.render(audio, settings, rate), reference(audio, settings, rate)) <= 1e-6
