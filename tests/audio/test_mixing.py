"""Mixing down: the mean of what carries signal."""

from __future__ import annotations

import numpy as np
import pytest

from stylefx.audio import active_channels, mix_down
from stylefx.audio.mixing import channel_powers, heard_mono
from tests.support.signals import speech_like


@pytest.mark.parametrize("dead", [0.0, 0.13, "hum"])
@pytest.mark.parametrize("side", [0, 1])
def test_a_dead_channel_costs_no_level(dead, side):
    audio = speech_like(24000, 24000, 2)
    live = audio[1 - side].copy()
    audio[side] = 2e-5 * np.sin(np.arange(24000)) if dead == "hum" else dead  # silence, DC offset, hum at -90 dB
    np.testing.assert_allclose(mix_down(audio)[0], live, atol=1e-7)


def test_live_channels_are_averaged():
    audio = speech_like(24000, 24000, 2)
    audio[1] *= 0.05  # quiet is not dead
    np.testing.assert_allclose(mix_down(audio)[0], audio.mean(axis=0), atol=1e-7)
    assert active_channels(audio).tolist() == [True, True]


def test_the_choice_can_be_that_of_the_whole_recording():
    audio = speech_like(24000, 24000, 2)
    whole = active_channels(audio)
    segment = audio[:, :2000].copy()
    segment[1] = 0
    np.testing.assert_allclose(mix_down(segment, whole)[0], segment.mean(axis=0), atol=1e-7)


@pytest.mark.parametrize("shape", [(1, 100), (2, 100), (2, 0), (6, 1)])
def test_silence_mono_and_nothing(shape):
    got = mix_down(np.zeros(shape, np.float32))
    assert got.shape == (1, shape[1])
    assert got.dtype == np.float32
    assert not got.any()


def test_two_live_channels_give_the_bits_of_a_sum_in_double_precision():
    rng = np.random.default_rng(5)
    audio = (rng.standard_normal((2, 200000)) * 2.0 ** rng.integers(-140, 20, (2, 200000))).astype(np.float32)
    audio[:, ::3] = np.float32(1.0) + np.float32(2.0**-23) * rng.integers(0, 9, (2, len(audio[0, ::3])))  # half of the last place
    expected = (0.5 * audio[0].astype(np.float64) + 0.5 * audio[1].astype(np.float64)).astype(np.float32)
    got = mix_down(audio, np.array([True, True]))
    assert got.tobytes() == expected.tobytes()


@pytest.mark.parametrize("other", ["same", "inverted", "dead", "silent"])
def test_what_is_heard_does_not_depend_on_whether_the_powers_are_known(other):
    audio = speech_like(24000, 24000, 2)
    audio[1] = {"same": audio[0], "inverted": -audio[0], "dead": 0.2, "silent": 0.0}[other]
    mono, cancels = heard_mono(audio)
    known, cancels_too = heard_mono(audio, channel_powers(audio))
    assert cancels == cancels_too == (other == "inverted")
    assert mono.tobytes() == known.tobytes()
    np.testing.assert_allclose(np.abs(mono[0]), np.abs(audio[0]), atol=1e-7)
