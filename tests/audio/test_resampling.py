"""Resampling: exact lengths, aligned, blocks equal the whole, as clean as soxr HQ promises."""

from __future__ import annotations

import numpy as np
import pytest

from stylefx.audio import Resampler, resample, resampled_frames
from stylefx.errors import UserError
from tests.support.signals import sine, speech_like

RATES = [(44100, 24000), (24000, 44100), (128000, 24000), (22254, 24000), (11127, 48000), (5000, 24000), (24000.5, 24000)]


@pytest.mark.parametrize(("from_rate", "to_rate"), RATES)
@pytest.mark.parametrize("frames", [1, 6, 1000, 30011])
def test_lengths_are_exact_and_blocks_equal_the_whole(from_rate, to_rate, frames):
    audio = speech_like(frames, int(from_rate), 2)
    whole = resample(audio, from_rate, to_rate)
    assert whole.shape == (2, int(np.floor(frames * to_rate / from_rate + 0.5)))
    assert whole.shape[1] == resampled_frames(frames, from_rate, to_rate)
    stream, rng, parts, start = Resampler(from_rate, to_rate, 2), np.random.default_rng(1), [], 0
    while start < frames:
        size = int(rng.integers(1, 3000))
        parts.append(stream(audio[:, start : start + size]))
        start += size
    parts.append(stream.finish())
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), whole)


@pytest.mark.parametrize(("from_rate", "to_rate"), RATES)
def test_a_sine_stays_the_same_sine_in_the_same_place(from_rate, to_rate):
    frequency_hz, seconds = 0.2 * min(from_rate, to_rate), 1.5
    got = resample(sine(frequency_hz, int(seconds * from_rate), from_rate), from_rate, to_rate)
    expected = sine(frequency_hz, got.shape[1], to_rate)
    inner = slice(int(0.1 * to_rate), int(-0.1 * to_rate))
    assert np.abs(got[:, inner] - expected[:, inner]).max() < 1e-4


def test_what_does_not_fit_below_the_new_nyquist_is_removed():
    got = resample(sine(15000, 44100, 44100), 44100, 24000)
    assert 20 * np.log10(np.abs(got[:, 1000:-1000]).max() / 0.5) < -90


def test_the_last_half_frame_is_what_the_filter_rings_out():
    audio = sine(300, 1000, 24000)  # 1837.5 frames at 44.1 kHz
    long = resample(np.concatenate([audio, np.zeros((1, 500), np.float32)], axis=1), 24000, 44100)
    np.testing.assert_allclose(resample(audio, 24000, 44100), long[:, :1838], atol=1e-6)


def test_equal_rates_copy():
    audio = speech_like(100, 8000)
    got = resample(audio, 8000, 8000)
    np.testing.assert_array_equal(got, audio)
    assert not np.shares_memory(got, audio)


@pytest.mark.parametrize("rate", [0, -1, float("nan")])
def test_rates_that_are_none_are_refused(rate):
    with pytest.raises(UserError, match="positive rates"):
        resample(speech_like(100, 8000), rate, 8000)
