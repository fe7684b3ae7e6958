"""RB-DSP matches spectrum and loudness where it can, and ends where it cannot."""

from __future__ import annotations

import numpy as np
import pyloudnorm
import pytest
import scipy.signal

from stylefx.effects.palette.compressor import Compressor
from stylefx.evaluation.metrics.audio import measure, peak_level_db
from stylefx.evaluation.systems import rule_based
from stylefx.evaluation.systems.rule_based import match_spectrum, rule_based_transfer
from tests.support.programme import music_like, speech_like

RATE = 24000


def lufs(audio: np.ndarray) -> float:
    return pyloudnorm.Meter(RATE).integrated_loudness(audio.T.astype(np.float64))


def third_octaves_db(audio: np.ndarray) -> np.ndarray:
    """Band levels by scipy's Welch, independent of our own spectra."""
    frequency, power = scipy.signal.welch(audio[0].astype(np.float64), RATE, nperseg=4096)
    centres = 200.0 * 2 ** (np.arange(15) / 3)
    edges = [(f / 2 ** (1 / 6), f * 2 ** (1 / 6)) for f in centres]
    return np.array([10 * np.log10(power[(frequency >= low) & (frequency < high)].mean()) for low, high in edges])


def test_the_average_spectrum_becomes_the_references():
    speech = speech_like(6 * RATE, seed=1)
    b, a = scipy.signal.butter(1, [400, 2500], "band", fs=RATE)
    reference = scipy.signal.lfilter(b, a, speech_like(6 * RATE, seed=1)).astype(np.float32)
    matched = match_spectrum(speech, reference, RATE)
    assert np.abs(third_octaves_db(speech) - third_octaves_db(reference)).max() > 8
    assert np.abs(third_octaves_db(matched) - third_octaves_db(reference)).max() < 1.5


def test_the_filter_has_no_delay():
    speech = speech_like(2 * RATE, seed=1)
    matched = match_spectrum(speech, 0.5 * speech, RATE)
    np.testing.assert_allclose(matched, 0.5 * speech, atol=2e-3)


def test_a_compressed_reference_is_matched_in_loudness_at_its_peak():
    speech = speech_like(4 * RATE, seed=1)
    settings = {"threshold_db": -36.0, "ratio": 4.0, "attack_ms": 0.5, "release_ms": 40.0}
    squashed = Compressor().render(speech, settings, RATE)
    squashed *= np.float32(0.25 / np.abs(squashed).max())
    output = rule_based_transfer(speech, squashed, RATE)
    assert lufs(squashed) - lufs(speech) > 1.5
    assert lufs(output) == pytest.approx(lufs(squashed), abs=0.75)
    assert peak_level_db(output) == pytest.approx(peak_level_db(squashed), abs=0.01)


def test_what_cannot_be_reached_ends_after_a_bounded_number_of_tries(monkeypatch):
    calls = []
    real = rule_based.Compressor.render
    monkeypatch.setattr(rule_based.Compressor, "render", lambda *a, **k: calls.append(1) or real(*a, **k))
    square = np.sign(np.sin(2 * np.pi * 900 * np.arange(3 * RATE) / RATE))[None].astype(np.float32)
    output = rule_based_transfer(speech_like(3 * RATE), square, RATE)
    assert 0 < len(calls) <= 28
    assert np.isfinite(output).all()


@pytest.mark.parametrize("silent", ["input", "reference", "both"])
def test_silence_ends_and_stays_finite(silent):
    audio, zero = speech_like(RATE), np.zeros((1, RATE), np.float32)
    signals = {"input": (zero, audio), "reference": (audio, zero), "both": (zero, zero)}[silent]
    np.testing.assert_array_equal(rule_based_transfer(*signals, RATE), signals[0])


def test_stereo_and_unequal_lengths():
    audio, reference = music_like(2 * RATE), music_like(RATE, seed=3)
    output = rule_based_transfer(audio, reference, RATE)
    assert output.shape == audio.shape
    assert output.dtype == np.float32


def test_it_helps_on_an_equalised_reference():
    speech = speech_like(3 * RATE, seed=4)
    b, a = scipy.signal.butter(2, 3000, "high", fs=RATE)
    target = (speech + 3 * scipy.signal.lfilter(b, a, speech)).astype(np.float32)
    before = measure(speech, target, RATE)["mr_stft"]
    after = measure(rule_based_transfer(speech, target, RATE), target, RATE)["mr_stft"]
    assert after < 0.5 * before
