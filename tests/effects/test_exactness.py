"""Renders equal independent float64 references to 1e-6 relative RMS, over seeded draws and in the corners."""

from __future__ import annotations

import numpy as np
import pytest

from stylefx.effects.palette.parametric_eq import ParametricEq
from stylefx.effects.registry import effect_names, make_effect
from tests.support.effect_cases import RATES, VARIANT_IDS, VARIANTS, corners, make
from tests.support.effect_references import REFERENCES, draw, equalise, programme, relative_rms

TOLERANCE = 1e-6


def test_every_effect_has_a_reference():
    assert set(effect_names()) == set(REFERENCES) == {name for name, _ in VARIANTS}


@pytest.mark.parametrize("variant", VARIANTS, ids=VARIANT_IDS)
def test_render_equals_the_reference_over_the_ranges(variant):
    effect, rng, errors = make(variant), np.random.default_rng(1), []
    for i in range(160 if variant[0] in ("parametric_eq", "compressor", "expander") else 32):
        rate = RATES[i % 4]
        audio, settings = programme(rng, 1 + i // 4 % 2, 16384), draw(effect, rng)
        errors.append(relative_rms(effect.render(audio, settings, rate), REFERENCES[effect.name](effect, audio, settings, rate)))
    assert max(errors) <= TOLERANCE


CORNERS = [(name, title) for name in REFERENCES for title in corners(name)]


@pytest.mark.parametrize("rate", [44100, 96000])
@pytest.mark.parametrize(("name", "title"), CORNERS, ids=[" ".join(c) for c in CORNERS])
def test_render_is_exact_in_the_corners(name, title, rate):
    effect = make_effect(name)
    settings = effect.complete(corners(name)[title])
    audio = programme(np.random.default_rng(2), 2, 65536)
    assert relative_rms(effect.render(audio, settings, rate), REFERENCES[name](effect, audio, settings, rate)) <= TOLERANCE


def test_the_tolerance_would_notice_coefficients_rounded_to_float32():
    """The usual mistake at low frequencies is far above the tolerance: the comparison can fail."""
    effect, audio = ParametricEq(), programme(np.random.default_rng(2), 1, 65536)
    settings = effect.complete(corners("parametric_eq")["20 Hz, Q 10, +24 dB, low_shelf"])
    import scipy.signal

    rounded = effect.sections(settings, 44100).astype(np.float32).astype(np.float64)
    assert relative_rms(scipy.signal.sosfilt(rounded, audio), equalise(effect, audio, settings, 44100)) > 1e-3
