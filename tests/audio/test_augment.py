"""Transforms of audiomentations by name: deterministic, isolated, of unchanged length."""

from __future__ import annotations

import random

import audiomentations
import numpy as np
import pytest

from stylefx.audio.augment import apply_transform, complete_parameters, transform_names
from stylefx.errors import UserError
from tests.support.signals import speech_like

PARAMETERS = {
    "AddGaussianSNR": {"min_snr_db": 5.0, "max_snr_db": 40.0},
    "BandPassFilter": {},
    "ClippingDistortion": {"max_percentile_threshold": 20},
    "TanhDistortion": {"min_distortion": 0.1, "max_distortion": 0.4},
    "TimeMask": {},
    "SevenBandParametricEQ": {},
}


@pytest.mark.parametrize("name", PARAMETERS)
@pytest.mark.parametrize("channels", [1, 2])
def test_the_seed_decides_and_nothing_else(name, channels):
    audio = speech_like(24000, 24000, channels)
    kept = audio.copy()
    random.seed(1)
    np.random.seed(1)
    first = apply_transform(audio, 24000, name, PARAMETERS[name], seed=2**63 + 5)
    random.seed(2)
    np.random.seed(2)
    again = apply_transform(audio, 24000, name, PARAMETERS[name], seed=2**63 + 5)
    other = apply_transform(audio, 24000, name, PARAMETERS[name], seed=6)
    assert first.dtype == np.float32
    assert first.shape == audio.shape
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    np.testing.assert_array_equal(audio, kept)


def test_the_global_generators_are_left_as_they_were():
    random.seed(7)
    np.random.seed(7)
    expected = random.random(), np.random.rand()
    random.seed(7)
    np.random.seed(7)
    apply_transform(speech_like(8000, 8000), 8000, "AddGaussianNoise", {}, seed=0)
    assert (random.random(), np.random.rand()) == expected


def test_a_quantity_without_min_and_max_is_fixed():
    audio = speech_like(8000, 8000)
    np.testing.assert_allclose(apply_transform(audio, 8000, "Gain", {"gain_db": -6.0}, 0), audio * 10 ** (-6 / 20), rtol=1e-6)
    assert complete_parameters("Gain", {"gain_db": -6.0}) == {"min_gain_db": -6.0, "max_gain_db": -6.0}


def test_it_is_the_packages_own_transform():
    audio = speech_like(8000, 8000)
    random.seed(3)
    np.random.seed([3, 0])
    expected = audiomentations.LowPassFilter(p=1.0)(audio[0].copy(), 8000)
    np.testing.assert_array_equal(apply_transform(audio, 8000, "LowPassFilter", {}, 3)[0], expected)


@pytest.mark.parametrize(
    ("name", "parameters", "sentence"),
    [
        ("AddGausianNoise", {}, "did you mean 'AddGaussianNoise'"),
        ("Gain", {"min_gain_in_dB": 3}, "Gain has no parameter 'min_gain_in_dB'; did you mean 'min_gain_db'"),
        ("Gain", {"min_gain_db": 3, "max_gain_db": -3}, "cannot be applied"),
        ("Trim", {}, "changes the length"),
        ("PitchShift", {}, r"use augment\.pitch_cents"),
        ("Compose", {}, "has no transform"),
    ],
)
def test_mistakes_are_named(name, parameters, sentence):
    with pytest.raises(UserError, match=sentence):
        apply_transform(speech_like(8000, 8000), 8000, name, parameters, 0)


def test_many_transforms_can_be_named():
    assert len(transform_names()) >= 25
