"""Loudness equals pyloudnorm in double precision; true peak finds what lies between the samples."""

from __future__ import annotations

import math
import re
import subprocess

import numpy as np
import pyloudnorm
import pytest
import scipy.signal
import soundfile

from stylefx.audio import LoudnessMeter, integrated_lufs, peak_dbfs, true_peak_dbtp
from stylefx.audio.loudness import TRUE_PEAK_TAPS
from stylefx.errors import UserError
from tests.audio.signals import sine, speech_like


def _programme(seconds: float, rate: int, channels: int, seed: int) -> np.ndarray:
    """Noise whose level jumps by 60 dB several times a second, so that both gates work."""
    rng = np.random.default_rng(seed)
    frames = math.ceil(seconds * rate)
    levels_db = rng.uniform(-90, -10, frames // (rate // 7) + 1).repeat(rate // 7)[:frames]
    return (rng.normal(size=(channels, frames)) * 10 ** (np.pad(levels_db, (0, frames - len(levels_db))) / 20)).astype(np.float32)


@pytest.mark.parametrize("rate", [5000, 8000, 11127, 22254, 24000, 44100, 48000, 96000])
@pytest.mark.parametrize("channels", [1, 2])
def test_integrated_loudness_equals_pyloudnorm(rate, channels):
    for seed, seconds in enumerate((0.4, 0.449, 0.4501, 3.777, 10.92)):
        audio = _programme(seconds, rate, channels, seed)
        expected = pyloudnorm.Meter(rate).integrated_loudness(audio.T.astype(np.float64))
        assert integrated_lufs(audio, rate) == pytest.approx(expected, abs=1e-9)


def test_five_channels_weigh_the_surrounds():
    audio = _programme(3, 24000, 5, 0)
    expected = pyloudnorm.Meter(24000).integrated_loudness(audio.T.astype(np.float64))
    assert integrated_lufs(audio, 24000) == pytest.approx(expected, abs=1e-9)


def test_blocks_of_any_length_equal_the_whole():
    audio = _programme(7.3, 22254, 2, 5)
    meter, rng, start = LoudnessMeter(22254, 2), np.random.default_rng(0), 0
    while start < audio.shape[1]:
        size = int(rng.choice([0, 1, 500, 2225, 30000]))
        meter.add(audio[:, start : start + size])
        start += size
    assert meter.integrated_lufs() == pytest.approx(integrated_lufs(audio, 22254), abs=1e-10)


def test_standard_tone_reads_minus_three():
    """BS.1770-4: a 997 Hz sine of 0 dBFS in one channel reads -3.01 LKFS."""
    assert integrated_lufs(sine(997, 48000 * 3, 48000, amplitude=1.0), 48000) == pytest.approx(-3.01, abs=0.05)


def test_silence_is_minus_infinity_and_less_than_a_block_is_refused():
    assert integrated_lufs(np.zeros((2, 24000), np.float32), 24000) == -math.inf
    assert integrated_lufs(1e-5 * speech_like(24000, 24000), 24000) == -math.inf  # below the absolute gate
    with pytest.raises(UserError, match=r"at least 0\.4 s"):
        integrated_lufs(np.zeros((1, 9599), np.float32), 24000)
    with pytest.raises(UserError, match="1 to 5 channels"):
        integrated_lufs(np.zeros((6, 24000), np.float32), 24000)


def test_peak():
    assert peak_dbfs(np.array([[0.1, -0.5]], np.float32)) == pytest.approx(20 * math.log10(0.5))
    assert peak_dbfs(np.zeros((1, 10), np.float32)) == -math.inf
    assert peak_dbfs(np.zeros((1, 0), np.float32)) == -math.inf


def test_true_peak_between_the_samples():
    """A quarter-rate sine at 45 degrees has samples at -3.01 dB of its peak; the standard allows 0.2 dB below, 0.3 above."""
    tone = sine(12000, 48000, 48000, amplitude=1.0, phase=math.pi / 4) * scipy.signal.windows.tukey(48000, 0.1).astype(np.float32)
    assert peak_dbfs(tone) == pytest.approx(-3.01, abs=0.01)
    assert -0.2 <= true_peak_dbtp(tone, 48000) <= 0.3


@pytest.mark.parametrize("seed", range(4))
def test_true_peak_of_programme_near_exact_interpolation(seed):
    sections = scipy.signal.butter(8, 0.7, output="sos")
    audio = scipy.signal.sosfilt(sections, np.random.default_rng(seed).normal(size=(2, 20000)) * 0.1, axis=1).astype(np.float32)
    exact = np.abs(scipy.signal.resample(np.pad(audio, ((0, 0), (2000, 2000))), 4 * 24000, axis=1)).max()
    got = true_peak_dbtp(audio, 48000)
    assert got == pytest.approx(20 * math.log10(exact), abs=0.35)
    assert got >= peak_dbfs(audio)


def test_true_peak_agrees_with_ffmpeg(tmp_path, ffmpeg):
    audio = scipy.signal.sosfilt(
        scipy.signal.butter(6, 0.5, output="sos"), np.random.default_rng(7).normal(size=(2, 96000)) * 0.2, axis=1
    ).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", audio.T, 48000, subtype="FLOAT")
    command = [ffmpeg, "-nostdin", "-i", str(tmp_path / "a.wav"), "-af", "ebur128=peak=true", "-f", "null", "-"]
    log = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    assert true_peak_dbtp(audio, 48000) == pytest.approx(float(re.findall(r"Peak:\s+(\S+) dBFS", log)[-1]), abs=0.25)
    integrated = float(re.findall(r"I:\s+(\S+) LUFS", log)[-1])
    assert integrated_lufs(audio, 48000) == pytest.approx(integrated, abs=0.15)


def test_true_peak_is_the_standards_filter():
    """Against a plain convolution in double precision with the taps of BS.1770-4 annex 2."""
    audio = np.random.default_rng(1).uniform(-0.3, 0.3, (1, 3001)).astype(np.float32)
    audio[0, 1500:1508] = [0.3, 0.3, 0.3, 0.3, -0.3, -0.3, -0.3, -0.3]
    expected = max(np.abs(np.convolve(audio[0].astype(np.float64), taps)).max() for taps in TRUE_PEAK_TAPS)
    assert expected > np.abs(audio).max()
    assert true_peak_dbtp(audio, 48000) == pytest.approx(20 * math.log10(expected), abs=1e-5)
    assert TRUE_PEAK_TAPS.sum(axis=1) == pytest.approx([1.0016, 0.9732, 0.9732, 1.0016], abs=1e-3)
