"""A band whose cutoff a low rate cannot hold does, below 0.45 of the rate, what the cookbook's filter does at 48 kHz."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import scipy.signal

from stylefx.effects.chain import EffectChain
from stylefx.effects.kernels.crossover import band_sections
from stylefx.effects.palette.parametric_eq import BAND_KINDS, ParametricEq
from stylefx.effects.palette.reverb import absorption
from stylefx.effects.presets import deepafx_st_chain
from stylefx.effects.registry import make_effect
from tests.support.effect_references import REFERENCES, cookbook, draw, programme, relative_rms

RATES = (5000, 8000, 11025, 16000, 22050, 24000, 32000, 44100)
GAINS_DB, QS = (-24.0, -3.0, 0.0, 12.0, 24.0), (0.1, 0.5, 0.707, 3.0, 10.0)


def _decibels(response: np.ndarray) -> np.ndarray:
    return 20 * np.log10(np.maximum(np.abs(response), 1e-3))  # the bottom of a notch is none, below -60 dB


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("kind", BAND_KINDS)
def test_within_a_decibel_of_48_khz_in_every_corner_and_stable(kind, rate):
    effect = ParametricEq(bands=[{"name": "b", "kind": kind}])
    freqs = np.linspace(0.002, 0.45, 300) * rate
    cutoffs = [factor * rate for factor in (0.4501, 0.47, 0.5, 0.6, 1.0) if factor * rate < 21600] + [12000.0, 21600.0]
    cutoffs = [f for f in cutoffs if f > 0.45 * rate]
    worst = 0.0
    for gain_db, q, cutoff_hz in itertools.product(GAINS_DB if "b_gain_db" in effect.complete({}) else (0.0,), QS, cutoffs):
        settings = {"b_cutoff_hz": cutoff_hz, "b_q": q} | ({"b_gain_db": gain_db} if "b_gain_db" in effect.complete({}) else {})
        sections = effect.sections(settings, rate)
        assert np.abs(scipy.signal.sos2zpk(sections)[1]).max() < 1.0, settings
        _, ours = scipy.signal.freqz_sos(sections, worN=freqs, fs=rate)
        c = np.array(cookbook(kind, gain_db, cutoff_hz, q, 48000))
        _, wanted = scipy.signal.freqz(c[:3], c[3:], worN=freqs, fs=48000)
        worst = max(worst, np.abs(_decibels(ours) - _decibels(wanted)).max())
        assert np.abs(_decibels(10 ** (effect.response_db(settings, freqs, rate) / 20)) - _decibels(ours)).max() < 1e-6
    assert worst < 0.7


@pytest.mark.parametrize("name", ["parametric_eq", "multiband_compressor", "saturation", "reverb"])
@pytest.mark.parametrize("rate", [8000, 16000, 32000])
def test_renders_equal_the_reference_at_low_rates(name, rate):
    """The reference finds the roots numerically; low bands keep the cookbook's sections to the bit."""
    configs = {"parametric_eq": [{"ranges": "full-band"}, {"bands": [{"kind": k} for k in BAND_KINDS]}]}
    configs |= {"multiband_compressor": [{"num_bands": n} for n in (2, 4)], "reverb": [{"size": 0.3}]}
    rng = np.random.default_rng(7)
    for config in configs.get(name, [{}]):
        effect = make_effect(name, **config)
        for channels in (1, 2, 1, 2, 1, 2):
            audio, settings = programme(rng, channels, 8192), draw(effect, rng)
            assert relative_rms(effect.render(audio, settings, rate), REFERENCES[name](effect, audio, settings, rate)) < 2e-6


def test_a_file_of_a_low_rate_made_bright_is_as_bright_as_at_48_khz():
    """Four bands above 3.6 kHz, which clamped there would add up to +34 dB."""
    effect = deepafx_st_chain().effects[0]
    settings = {"band3_gain_db": 9.0, "band3_cutoff_hz": 6000.0, "band4_gain_db": 8.0, "band4_cutoff_hz": 9000.0}
    settings |= {"high_shelf_gain_db": 24.0, "high_shelf_cutoff_hz": 9000.0}
    freqs = np.linspace(50, 3600, 200)
    at_8, at_48 = (effect.response_db(settings, freqs, rate) for rate in (8000, 48000))
    assert at_8.max() < 16.0
    assert np.abs(at_8 - at_48).max() < 0.2


@pytest.mark.parametrize("rate", [8000, 16000, 24000])
def test_split_bands_still_add_up_to_an_all_pass(rate):
    freqs = np.linspace(10, 0.499 * rate, 400)
    for crossovers in ([0.2 * rate, 0.46 * rate], [0.47 * rate, 0.6 * rate], [100.0, 0.3 * rate, 12000.0]):
        ways = [scipy.signal.freqz_sos(s, worN=freqs, fs=rate)[1] for s in band_sections(crossovers, rate)]
        assert np.abs(np.abs(sum(ways)) - 1.0).max() < 1e-9


def test_a_reverb_decays_as_at_48_khz():
    """The shelves of lines of equal duration, dB per pass."""
    settings = {"decay_s": 1.2, "high_decay_ratio": 0.4, "crossover_hz": 5000.0}
    for rate in (8000, 10000):
        freqs = np.linspace(50, 0.45 * rate, 100)
        gains = []
        for at in (rate, 48000):
            b0, b1, a1 = absorption(np.array([0.05 * at]), settings, at)[0]
            gains.append(_decibels(scipy.signal.freqz([b0, b1], [1, a1], worN=freqs, fs=at)[1]))
        assert np.abs(gains[0] - gains[1]).max() < 0.1


def test_blocks_of_any_length_equal_the_whole_at_a_low_rate():
    chain = EffectChain.of(ParametricEq("full-band"))
    settings = [{"effect": "parametric_eq", "settings": {"band4_gain_db": 9.0, "high_shelf_gain_db": -12.0}}]
    audio = programme(np.random.default_rng(3), 2, 5000)
    process = chain.start(settings, 8000, 2)
    blocks = [process(audio[:, i : i + 777]) for i in range(0, 5000, 777)]
    np.testing.assert_array_equal(np.concatenate(blocks, axis=1), chain.render(audio, settings, 8000))
