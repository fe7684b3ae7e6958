"""The metrics equal independent references: auraloss, librosa, pyloudnorm, plain formulas."""

from __future__ import annotations

import math
import re
import sys

import auraloss
import librosa
import numpy as np
import pyloudnorm
import pytest
import scipy.signal
import torch

from stylefx.audio.distance import mr_stft, mr_stfts
from stylefx.audio.spectra import average_power, hann, mel_filters, smooth_octaves
from stylefx.errors import UserError
from stylefx.evaluation.metrics import audio as metrics
from stylefx.evaluation.metrics.pesq import pesq_wideband, require_pesq
from stylefx.extras import install_line
from tests.support.programme import music_like, speech_like

SIZES = [32, 128, 512, 2048, 8192, 32768]
PAIRS = {
    "speech 24 kHz": (24000, speech_like(40000, seed=1), speech_like(40000, seed=2)),
    "music 44.1 kHz stereo": (44100, music_like(70000, 44100, seed=1), 0.7 * music_like(70000, 44100, seed=2)),
    "quiet 16 kHz": (16000, 0.1 * speech_like(36000, 16000, seed=3), speech_like(36000, 16000, seed=4)),
}
pairs = pytest.mark.parametrize(("rate", "output", "target"), PAIRS.values(), ids=PAIRS)


def tensor(audio: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(audio)[None].double()


@pytest.mark.parametrize("size", [2, 31, 500, 1024, 32768])
def test_the_window_is_scipys_to_the_bit(size):
    assert np.array_equal(hann(size), scipy.signal.get_window("hann", size, fftbins=True))


@pairs
def test_mr_stft_equals_auraloss(rate, output, target):
    loss = auraloss.freq.MultiResolutionSTFTLoss(SIZES, [s // 2 for s in SIZES], SIZES, w_sc=0, w_log_mag=1, w_lin_mag=1)
    for part in loss.stft_losses:
        part.window = part.window.double()
    expected = float(loss(tensor(output), tensor(target)))
    assert mr_stft(output, target) == pytest.approx(expected, rel=1e-6)  # auraloss' own window is float32
    assert metrics.measure(output, target, rate)["mr_stft"] == pytest.approx(expected, rel=1e-6)


@pairs
def test_several_signals_have_the_distances_that_each_has_alone(rate, output, target):
    outputs = [output, np.zeros_like(target), target]
    assert mr_stfts(outputs, target) == pytest.approx([mr_stft(o, target) for o in outputs], rel=1e-12)
    assert mr_stfts(outputs, target)[2] == 0.0


@pairs
def test_msd_equals_auraloss(rate, output, target):
    size = 65536
    loss = auraloss.freq.MelSTFTLoss(rate, size, size, size, w_sc=0, w_log_mag=1, w_lin_mag=1, n_mels=128)
    loss.window, loss.fb = loss.window.double(), loss.fb.double()
    expected = float(loss(tensor(output), tensor(target)))
    assert metrics.msd(output, target, rate) == pytest.approx(expected, rel=1e-5)
    assert metrics.measure(output, target, rate)["msd"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("rate", [8000, 16000, 24000, 44100, 96000])
def test_mel_filters_equal_librosas(rate):
    expected = librosa.filters.mel(sr=rate, n_fft=65536, n_mels=128, dtype=np.float64)
    np.testing.assert_allclose(mel_filters(float(rate), 65536), expected, atol=1e-9 * expected.max())
    assert (mel_filters(float(rate), 65536).max(axis=1) > 0).all()


@pairs
def test_centroid_equals_librosas(rate, output, target):
    def centroid(audio):
        return librosa.feature.spectral_centroid(y=audio.astype(np.float64), sr=rate, n_fft=2048, hop_length=512).mean()

    expected = abs(centroid(output) - centroid(target))
    assert metrics.measure(output, target, rate)["sce_hz"] == pytest.approx(expected, rel=1e-5, abs=1e-3)


@pairs
def test_levels_and_loudness_equal_their_formulas(rate, output, target):
    def rms(x):
        return 20 * np.log10(np.sqrt(np.mean(x.astype(np.float64) ** 2)))

    def crest(x):
        return 20 * np.log10(np.abs(x).max()) - rms(x)

    meter = pyloudnorm.Meter(rate)
    values = metrics.measure(output, target, rate)
    assert values["rms_db"] == pytest.approx(abs(rms(output) - rms(target)), rel=1e-6)
    assert values["crest_db"] == pytest.approx(abs(crest(output) - crest(target)), rel=1e-5)
    expected = abs(
        meter.integrated_loudness(output.T.astype(np.float64)) - meter.integrated_loudness(target.T.astype(np.float64))
    )
    assert values["lufs"] == pytest.approx(expected, abs=1e-4)


def test_levels_are_decibels_not_nepers():
    audio = speech_like()
    values = metrics.measure(audio / 10, audio, 24000)
    assert values["rms_db"] == pytest.approx(20.0, abs=1e-4)
    sine = np.sin(2 * np.pi * 1000 * np.arange(24000) / 24000)[None]
    square = np.sign(np.sin(2 * np.pi * 1000 * (np.arange(24000) + 0.5) / 24000))[None]
    assert metrics.measure(sine, square, 24000)["crest_db"] == pytest.approx(20 * math.log10(math.sqrt(2)), abs=1e-3)


def test_equal_signals_have_no_distance():
    audio = music_like(30000)
    assert metrics.measure(audio, audio, 24000) == dict.fromkeys(metrics.METRICS, 0.0)


def test_what_does_not_exist_is_nan_and_the_rest_remains():
    audio, silence = speech_like(), np.zeros((1, 48000), np.float32)
    values = metrics.measure(silence, audio, 24000)
    assert math.isnan(values["rms_db"])
    assert math.isnan(values["lufs"])
    assert math.isnan(values["crest_db"])
    assert values["mr_stft"] > 1
    assert values["sce_hz"] > 100
    broken = audio.copy()
    broken[0, 5] = np.nan
    assert all(math.isnan(v) for v in metrics.measure(broken, audio, 24000).values())


def test_shapes_that_differ_are_refused():
    with pytest.raises(UserError, match="same shape"):
        metrics.measure(speech_like(1000), speech_like(1001), 24000)


def test_short_signals_are_measured():
    assert metrics.measure(speech_like(3000, seed=1), speech_like(3000, seed=2), 24000)["mr_stft"] > 0.1


def test_pesq_is_best_for_equal_signals_and_falls_with_noise():
    pytest.importorskip("pesq")
    from pesq import pesq

    rate = 24000
    clean = speech_like(4 * rate, rate, seed=5)
    noise = np.random.default_rng(0).standard_normal(clean.shape).astype(np.float32)
    assert pesq_wideband(clean, clean, rate) > 4.6
    scores = [pesq_wideband(clean + level * noise, clean, rate) for level in (1e-4, 1e-3, 1e-2)]
    assert scores == sorted(scores, reverse=True)
    at_16k = [scipy.signal.resample_poly(x[0], 2, 3) for x in (clean, clean + 1e-3 * noise)]
    assert scores[1] == pytest.approx(pesq(16000, *at_16k, "wb"), abs=0.15)


def test_pesq_without_an_utterance_is_nan():
    pytest.importorskip("pesq")
    silence = np.zeros((1, 48000), np.float32)
    assert math.isnan(pesq_wideband(speech_like(), silence, 24000))
    assert math.isnan(pesq_wideband(speech_like()[:, :500], speech_like()[:, :500], 24000))


def test_pesq_that_is_not_installed_is_one_sentence_with_the_cure(monkeypatch):
    monkeypatch.setitem(sys.modules, "pesq", None)
    with pytest.raises(UserError, match=re.escape(install_line("eval"))):
        require_pesq()


def test_average_power_equals_welch_and_keeps_the_level():
    rate = 24000
    noise = np.random.default_rng(0).standard_normal((1, 30 * rate)) * 0.1
    frequency, power = average_power(noise, rate)
    expected = scipy.signal.welch(noise[0], rate, nperseg=4096, noverlap=3072, detrend=False)[1]
    np.testing.assert_allclose(power[1:-1], expected[1:-1], rtol=0.05)  # the ends' reflected frames differ
    assert power[1:-1].sum() * frequency[1] == pytest.approx(0.01, rel=0.02)


def test_smoothing_keeps_a_flat_spectrum_and_averages_within_the_band():
    frequency = np.arange(2049) * 5.0
    np.testing.assert_allclose(smooth_octaves(frequency, np.full(2049, 3.0), 1 / 3), 3.0)
    spectrum = np.zeros(2049)
    spectrum[1000] = 1.0
    smooth = smooth_octaves(frequency, spectrum, 1.0)
    touched = frequency[smooth > 1e-9]
    assert touched.min() == pytest.approx(5000 / 2**0.5, abs=10)
    assert touched.max() == pytest.approx(5000 * 2**0.5, abs=10)


@pairs
def test_mr_stft_is_the_training_loss(rate, output, target):
    from stylefx.differentiable.losses import MultiResolutionSTFTLoss

    loss = float(MultiResolutionSTFTLoss()(tensor(output), tensor(target)))
    assert mr_stft(output, target) == pytest.approx(loss, rel=1e-6)
