"""Character: third octaves, crest and spread against independent computations."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.signal

from stylefx.evaluation.metrics.character import CENTRES_HZ, Character, level_spread_db, third_octaves_db
from tests.support.signals import speech_like

RATE = 24000


def noise(seconds: float = 6.0, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((1, round(seconds * RATE))) * 0.05


def test_third_octaves_of_white_noise_hold_power_in_proportion_to_their_width():
    audio = noise(30.0)
    width = CENTRES_HZ * (10**0.05 - 10**-0.05)
    expected = 10 * np.log10(np.square(audio).mean() * width / (RATE / 2))
    assert np.abs(third_octaves_db(audio, RATE) - expected).max() < 1.0  # 26 frames of the narrowest band
    assert np.abs(third_octaves_db(audio, RATE) - expected)[6:].max() < 0.3


@pytest.mark.parametrize("rate", [16000, 24000, 44100])
def test_a_tone_has_its_level_in_its_band_at_any_rate(rate):
    t = np.arange(4 * rate) / rate
    levels = third_octaves_db(0.1 * np.sin(2 * np.pi * 1000 * t)[None], rate)
    at = int(np.argmin(np.abs(CENTRES_HZ - 1000)))
    assert levels[at] == pytest.approx(20 * np.log10(0.1) - 3.01, abs=0.05)
    assert np.delete(levels, at).max() < levels[at] - 30  # the ends are reflected, which breaks the phase


def test_third_octaves_agree_with_filters_of_the_standards_kind():
    """Sixth-order Butterworth band passes, the classic design of IEC 61260 filters, on noise with a tilt."""
    audio = scipy.signal.lfilter([1], [1, -0.9], noise(20.0))
    mine = third_octaves_db(audio, RATE)
    for i in range(4, len(CENTRES_HZ)):
        band = CENTRES_HZ[i] * np.array([10**-0.05, 10**0.05])
        filtered = scipy.signal.sosfilt(scipy.signal.butter(3, band, "bandpass", fs=RATE, output="sos"), audio)
        assert mine[i] == pytest.approx(10 * np.log10(np.square(filtered).mean()), abs=0.6)


def test_a_fader_changes_no_character_and_an_equaliser_does():
    audio = speech_like(4 * RATE, RATE)
    plain = Character.of(audio, RATE)
    louder = Character.of(audio * 1.9, RATE)
    assert max(plain.distance(louder).values()) < 1e-6
    assert plain.mr_stft(louder) < 1e-6
    darker = Character.of(scipy.signal.lfilter([0.3], [1, -0.7], audio), RATE)
    assert plain.distance(darker)["octave_db"] > 1
    assert plain.mr_stft(darker) > 0.1


def test_the_spread_of_a_square_envelope_is_half_its_step_and_pauses_do_not_count():
    envelope = np.where(np.arange(6 * RATE) // (RATE // 2) % 2, 1.0, 0.1)
    tone = np.sin(2 * np.pi * 1000 * np.arange(6 * RATE) / RATE)
    assert level_spread_db((tone * envelope)[None], RATE) == pytest.approx(10.0, abs=0.05)
    with_pause = np.concatenate([tone * envelope, np.zeros(2 * RATE)])[None]
    assert level_spread_db(with_pause, RATE) == pytest.approx(10.0, abs=0.05)


def test_silence_has_no_character():
    silent = Character.of(np.zeros((1, RATE)), RATE, spectra=False)
    assert np.isnan(list(silent.distance(silent).values())).all()
