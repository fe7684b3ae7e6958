"""Mixing down: the mean of what carries signal."""

from __future__ import annotations

import numpy as np
import pytest

from stylefx.audio import active_channels, mix_down
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
