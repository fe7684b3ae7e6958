"""What a model predicts at -12 dBFS does the same to the recording at its own level; intensity scales decibels."""

import numpy as np
import pytest

from stylefx.effects.levels import at_recording_level
from stylefx.effects.presets import deepafx_st_chain
from stylefx.errors import UserError
from stylefx.inference.hearing.levels import scale_intensity
from tests.inference.conftest import speech_like

RATE = 24000


def draw(chain, seed: int) -> list[dict]:
    return chain.settings(np.random.default_rng(seed).uniform(0.1, 0.9, chain.num_controls))


def difference_db(a: np.ndarray, b: np.ndarray) -> float:
    return 10 * np.log10(np.sum((a.astype(float) - b) ** 2) / np.sum(b.astype(float) ** 2) + 1e-30)


@pytest.mark.parametrize("gain_db", [-20.0, 7.5, 24.0])
def test_settings_at_the_recordings_level_do_what_they_did_at_the_models_level(gain_db):
    chain, audio = deepafx_st_chain(), speech_like(2.0, RATE)
    settings = draw(chain, 1)
    gain = 10 ** (gain_db / 20)
    expected = chain.render(audio * np.float32(gain), settings, RATE) / gain
    moved_chain, moved = at_recording_level(chain, settings, gain_db)
    assert difference_db(moved_chain.render(audio, moved, RATE), expected) < -100
    if abs(gain_db) > 10:
        assert difference_db(chain.render(audio, settings, RATE), expected) > -40, "the level must matter in this test"


@pytest.mark.parametrize("name", ["expander", "limiter", "saturation", "gate", "multiband_compressor"])
def test_every_effect_that_depends_on_the_level_is_moved(name):
    from stylefx.effects.chain import EffectChain
    from stylefx.effects.registry import effect_names, make_effect

    if name not in effect_names():
        pytest.skip(f"there is no {name} yet")
    chain, audio = EffectChain.of(make_effect(name)), speech_like(1.0, RATE)
    settings = draw(chain, 5)
    expected = chain.render(audio * np.float32(4), settings, RATE) / 4
    moved_chain, moved = at_recording_level(chain, settings, 20 * np.log10(4))
    assert difference_db(moved_chain.render(audio, moved, RATE), expected) < -80


def test_intensity_zero_is_the_input_and_one_the_prediction():
    chain, audio = deepafx_st_chain(), speech_like(1.0, RATE)
    settings = draw(chain, 2)
    np.testing.assert_array_equal(chain.render(audio, scale_intensity(chain, settings, 0.0), RATE), audio)
    assert scale_intensity(chain, settings, 1.0) == chain.complete(settings)


@pytest.mark.parametrize("intensity", [0.25, 0.5, 1.2])
def test_intensity_scales_the_gain_reduction_at_every_level(intensity):
    chain = deepafx_st_chain()
    settings = draw(chain, 3)
    settings[1]["settings"]["ratio"] = 3.0
    compressor, levels = chain.effects[1], np.linspace(-80, 0, 81)
    full = compressor.static_curve_db(settings[1]["settings"], levels) - levels
    scaled = scale_intensity(chain, settings, intensity)
    np.testing.assert_allclose(compressor.static_curve_db(scaled[1]["settings"], levels) - levels, intensity * full, atol=1e-9)
    for name, value in settings[0]["settings"].items():
        assert scaled[0]["settings"][name] == (intensity * value if name.endswith("gain_db") else value)


def test_more_than_full_style_stops_at_a_limiter():
    chain = deepafx_st_chain()
    settings = chain.complete(None)
    settings[1]["settings"]["ratio"] = 20.0
    assert 20 < scale_intensity(chain, settings, 1.5)[1]["settings"]["ratio"] <= 100.0 + 1e-9


@pytest.mark.parametrize("intensity", [-0.1, 1.6, float("nan")])
def test_intensities_outside_their_range_are_refused(intensity):
    chain = deepafx_st_chain()
    with pytest.raises(UserError, match=r"0\.\.1\.5"):
        scale_intensity(chain, draw(chain, 0), intensity)
