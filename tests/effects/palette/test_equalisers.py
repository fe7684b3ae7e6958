"""The equalisers: responses, clamped cutoffs, free bands, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.signal

from stylefx.effects.kernels.cascade import CascadeProcess
from stylefx.effects.palette.graphic_eq import GraphicEq
from stylefx.effects.palette.parametric_eq import ParametricEq
from stylefx.errors import UserError
from tests.support.effect_references import cookbook, draw, programme


@pytest.mark.parametrize("rate", [8000, 24000, 96000])
@pytest.mark.parametrize("kind", ["peak", "low_shelf", "high_shelf", "high_pass", "low_pass", "notch"])
def test_response_is_that_of_the_cookbook_filter(kind, rate):
    effect = ParametricEq(bands=[{"name": "b", "kind": kind}])
    freqs = np.geomspace(10, 0.499 * rate, 200)
    rng = np.random.default_rng(1)
    for _ in range(20):
        s = draw(effect, rng)
        s["b_cutoff_hz"] = min(s["b_cutoff_hz"], 0.45 * rate)
        c = np.array(cookbook(kind, s.get("b_gain_db", 0.0), s["b_cutoff_hz"], s["b_q"], rate))
        _, h = scipy.signal.freqz(c[:3], c[3:], worN=freqs, fs=rate)
        expected = 20 * np.log10(np.maximum(np.abs(h), 1e-5))
        np.testing.assert_allclose(np.maximum(effect.response_db(s, freqs, rate), -100), expected, atol=2e-4)


def test_response_holds_at_dc_and_nyquist():
    settings = {"low_shelf_gain_db": 7.0, "high_shelf_gain_db": -5.0}
    at_dc, at_nyquist = ParametricEq().response_db(settings, np.array([0.0, 12000.0]), 24000)
    assert at_dc == pytest.approx(7.0, abs=1e-9)
    assert at_nyquist == pytest.approx(-5.0, abs=1e-9)


@pytest.mark.parametrize("rate", [48000, 8000, 50000])
def test_cutoffs_above_what_48_khz_holds_are_clamped_and_reported(rate):
    effect = ParametricEq(bands=[{"name": "air", "kind": "high_shelf"}, {"name": "low", "kind": "peak"}])
    settings = effect.complete({"air_cutoff_hz": 30000.0, "air_gain_db": 12.0, "low_cutoff_hz": 5000.0})
    told = effect.effective(settings, rate)
    assert told == settings | {"air_cutoff_hz": 0.9 * 0.5 * max(rate, 48000)}
    assert effect.effective(settings, 96000) == settings
    audio = programme(np.random.default_rng(2), 1, 4000)
    np.testing.assert_array_equal(effect.render(audio, settings, rate), effect.render(audio, told, rate))


def test_ranges_are_fixed_in_hertz_and_reach_above_the_paper_s():
    top = {r: max(p.maximum for p in ParametricEq(r).parameters if p.unit == "Hz") for r in ("deepafx-st", "full-band")}
    assert top == {"deepafx-st": 10800.0, "full-band": 20000.0}


def test_the_default_has_eighteen_parameters_in_the_order_of_the_paper():
    names = [p.name for p in ParametricEq().parameters]
    bands = ["low_shelf", "band1", "band2", "band3", "band4", "high_shelf"]
    assert names == [f"{b}_{p}" for b in bands for p in ("gain_db", "cutoff_hz", "q")]


@pytest.mark.parametrize(
    ("bands", "message"),
    [
        ([{"kind": "bell"}], "kind 'bell'"),
        ([{"name": "a", "kind": "peak"}, {"name": "a", "kind": "peak"}], "each its own name"),
        ([], "at least one band"),
        ([{"kind": "peak", "range_hz": [500, 100]}], "0 < lowest < highest"),
        ([{"kind": "peak", "freq": 100}], "give kind"),
        ([{"kind": "peak", "name": "My band"}], "small letters"),
    ],
)
def test_bands_that_make_no_sense_are_refused(bands, message):
    with pytest.raises(UserError, match=message):
        ParametricEq(bands=bands)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"band1_q": 0.0}, "band1_q is 0; it must be greater than 0"),
        ({"band1_cutoff_hz": -5.0}, "must be greater than 0"),
        ({"band1_gain_db": float("nan")}, "finite"),
        ({"band1_gain_db": "3"}, "finite"),
        ({"band1_freq_hz": 100.0}, "no parameter 'band1_freq_hz'"),
    ],
)
def test_settings_without_physical_sense_are_refused(settings, message):
    with pytest.raises(UserError, match=message):
        ParametricEq().render(np.zeros((1, 10)), settings, 44100)


def test_values_beyond_the_ranges_but_physically_valid_are_rendered():
    effect, audio = ParametricEq(), programme(np.random.default_rng(3), 1, 2000)
    assert np.isfinite(effect.render(audio, {"band1_gain_db": 40.0, "band1_q": 30.0, "band1_cutoff_hz": 30.0}, 44100)).all()


def test_neutral_bands_pass_the_samples_to_the_bit():
    audio = programme(np.random.default_rng(4), 2, 5000)
    np.testing.assert_array_equal(ParametricEq().render(audio, {"band1_q": 3.0}, 44100), audio)


@pytest.mark.parametrize("number", [1, 2, 3, 4, 7])
def test_a_cascade_takes_any_number_of_sections(number):
    rng = np.random.default_rng(5)
    sos = np.array([cookbook("peak", rng.uniform(3, 9), rng.uniform(100, 9000), 1.0, 44100) for _ in range(number)])
    audio = programme(rng, 2, 3000)
    np.testing.assert_allclose(CascadeProcess(sos, 2, np.float64)(audio), scipy.signal.sosfilt(sos, audio), rtol=0, atol=1e-12)


@pytest.mark.parametrize("rate", [24000, 44100, 96000])
@pytest.mark.parametrize("bands", ["octave", "third_octave"])
def test_graphic_eq_meets_its_knobs_within_a_decibel_and_a_half(bands, rate):
    """Overlapping peaks without the solved interaction are up to 12 dB off."""
    effect, rng, worst = GraphicEq(bands), np.random.default_rng(6), 0.0
    active = effect.num_active(rate)
    centres = np.array(effect.centres_hz[:active])
    for _ in range(40):
        settings = draw(effect, rng)
        _, h = scipy.signal.freqz_sos(effect.sections(settings, rate), worN=centres, fs=rate)
        worst = max(worst, np.abs(20 * np.log10(np.abs(h)) - np.array(list(settings.values()))[:active]).max())
    assert worst < 1.5


def test_graphic_eq_leaves_out_bands_that_the_rate_cannot_hold_and_says_so():
    effect = GraphicEq("octave")
    full = {p.name: 6.0 for p in effect.parameters}
    told = effect.effective(full, 24000)
    assert told["gain_16000hz_db"] == 0.0
    assert told["gain_8000hz_db"] == 6.0
    with pytest.raises(UserError, match="octave"):
        GraphicEq("half_octave")
