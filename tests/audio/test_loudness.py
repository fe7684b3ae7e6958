"""Loudness is that of BS.1770-4 at every rate, against its table, libebur128 and pyloudnorm's exact filters; true peak finds
what lies between the samples. (EBU's signals: test_ebu_3341.)"""

from __future__ import annotations

import math
import re
import subprocess
import sys

import numpy as np
import pyloudnorm
import pytest
import scipy.signal
import soundfile

from stylefx.audio import LoudnessMeter, has_loudness, integrated_lufs, peak_dbfs, true_peak_dbtp
from stylefx.audio.loudness import METERS, TRUE_PEAK_TAPS, integrated_lufs_together, pyloudnorm_lufs
from stylefx.audio.weighting import k_weighting
from stylefx.errors import UserError
from stylefx.extras import install_line
from tests.support.libebur128 import libebur128_lufs
from tests.support.signals import sine, speech_like

RATES = (8000, 16000, 22050, 24000, 32000, 44100, 48000, 96000, 192000)


def _programme(seconds: float, rate: int, channels: int, seed: int) -> np.ndarray:
    """Noise whose level jumps by 60 dB several times a second, so that both gates work."""
    rng = np.random.default_rng(seed)
    frames = math.ceil(seconds * rate)
    levels_db = rng.uniform(-90, -10, frames // (rate // 7) + 1).repeat(rate // 7)[:frames]
    return (rng.normal(size=(channels, frames)) * 10 ** (np.pad(levels_db, (0, frames - len(levels_db))) / 20)).astype(np.float32)


def test_k_weighting_at_48_khz_is_the_standards_table():
    """BS.1770-4 annex 1, tables 1 and 2, printed with 14 decimals."""
    shelf = [1.53512485958697, -2.69169618940638, 1.19839281085285, -1.69065929318241, 0.73248077421585]
    high_pass = [1.0, -2.0, 1.0, -1.99004745483398, 0.99007225036621]
    assert k_weighting(48000.0) == pytest.approx(shelf + high_pass, abs=1e-15)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("channels", [1, 2, 5])
def test_integrated_loudness_is_libebur128s(rate, channels):
    """Rates that are multiples of 10 Hz; at others its steps are rounded up to whole samples, and drift from 0.1 s."""
    for seed, seconds in enumerate((0.401, 0.46, 0.4999, 3.777, 10.92)):
        audio = _programme(seconds, rate, channels, seed)
        assert integrated_lufs(audio, rate) == pytest.approx(libebur128_lufs(audio, rate), abs=1e-6), seconds


@pytest.mark.parametrize("rate", [8000, 24000, 96000])
def test_steady_tones_are_weighted_as_libebur128_weights_them(rate):
    for hertz in (25, 40, 60, 100, 500, 997, 1500, 2000, 2500, 3500, 8000, 11000, 20000):
        if hertz < 0.48 * rate:
            tone = sine(hertz, rate, rate, amplitude=0.1)
            assert integrated_lufs(tone, rate) == pytest.approx(libebur128_lufs(tone, rate), abs=1e-6), hertz


def test_an_incomplete_last_block_is_not_used():
    audio = _programme(10, 24000, 2, 3)
    for seconds in (0.46, 0.4999, 3.05, 3.0999):
        frames = round(seconds * 24000)
        whole = frames // 2400 * 2400
        assert integrated_lufs(audio[:, :frames], 24000) == integrated_lufs(audio[:, :whole], 24000)


@pytest.mark.parametrize("rate", [5000, 8000, 11127, 22254, 24000, 44100, 48000, 96000])
def test_complete_blocks_equal_pyloudnorms_with_the_standards_filters(rate):
    """Rates whose tenth is no whole number have blocks that begin a sample apart."""
    audio = _programme(10, rate, 2, 1)[:, : 97 * rate // 10]
    tolerance = 1e-6 if rate % 10 == 0 else 2e-3
    assert integrated_lufs(audio, rate) == pytest.approx(pyloudnorm_lufs(audio, rate, "DeMan"), abs=tolerance)


def test_pyloudnorm_stays_selectable_under_its_name():
    audio = _programme(3.777, 24000, 2, 0)
    expected = pyloudnorm.Meter(24000).integrated_loudness(audio.T.astype(np.float64))
    assert integrated_lufs(audio, 24000, meter="pyloudnorm") == expected
    assert abs(integrated_lufs(audio, 24000) - expected) > 0.03
    with pytest.raises(UserError, match="no loudness meter 'louder'; known are bs1770, pyloudnorm"):
        integrated_lufs(audio, 24000, meter="louder")


def test_a_missing_pyloudnorm_is_named_with_its_cure(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyloudnorm", None)
    with pytest.raises(UserError, match=re.escape(install_line("pipe"))):
        integrated_lufs(_programme(1, 24000, 1, 0), 24000, meter="pyloudnorm")


@pytest.mark.parametrize("meter", METERS)
def test_every_meter_refuses_less_than_a_block_and_calls_silence_minus_infinity(meter):
    assert integrated_lufs(np.zeros((2, 24000), np.float32), 24000, meter) == -math.inf
    with pytest.raises(UserError, match=r"at least 0\.4 s of audio, got 0\.400 s"):
        integrated_lufs(np.ones((1, 9599), np.float32), 24000, meter)
    assert has_loudness(9600, 24000)
    assert not has_loudness(9599, 24000)


@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_signals_measured_side_by_side_read_the_same_bits_as_each_alone(channels):
    signals = [_programme(3.3, 24000, channels, seed) for seed in range(3)]
    alone = [np.concatenate([_powers(channel[None]) for channel in signal], axis=1) for signal in signals]
    for signal, powers in zip(signals, alone):
        np.testing.assert_array_equal(_powers(signal), powers)
    assert integrated_lufs_together(signals, 24000) == [integrated_lufs(signal, 24000) for signal in signals]
    with pytest.raises(ValueError, match="one length"):
        integrated_lufs_together([signals[0], signals[1][:, 1:]], 24000)


@pytest.mark.parametrize("rate", [8000, 24000, 48000, 192000])
@pytest.mark.parametrize("channels", [1, 2])
def test_block_powers_are_those_of_the_filter_in_80_bits_to_a_billionth_of_a_decibel(rate, channels):
    """Also beside an offset forty times as large, which the high pass takes away."""
    signal = 0.01 * np.random.default_rng(rate).standard_normal((channels, rate)) + 0.4
    meter = LoudnessMeter(rate, channels)
    meter.add(signal)
    sections = np.insert(k_weighting(rate).reshape(2, 5), 3, 1.0, axis=1)
    filtered = scipy.signal.sosfilt(sections.astype(np.longdouble), signal.astype(np.longdouble))
    steps = np.array([(part**2).mean(axis=1) for part in np.split(filtered, 10, axis=1)])
    expected = np.array([steps[i : i + 4].mean(axis=0) for i in range(7)])
    assert np.abs(10.0 * np.log10(meter.block_powers() / expected)).max() < 1e-9


def _powers(signal: np.ndarray) -> np.ndarray:
    meter = LoudnessMeter(24000, signal.shape[0])
    for block in np.array_split(signal, [7, 5000, 5001], axis=1):
        meter.add(block)
    return meter.block_powers()


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
    assert integrated_lufs(sine(997, 48000 * 3, 48000, amplitude=1.0), 48000) == pytest.approx(-3.01, abs=0.001)


def test_what_the_absolute_gate_keeps_out_is_silence_and_six_channels_are_refused():
    assert integrated_lufs(np.zeros((2, 24000), np.float32), 24000) == -math.inf
    assert integrated_lufs(1e-5 * speech_like(24000, 24000), 24000) == -math.inf  # below the absolute gate
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
    assert integrated_lufs(audio, 48000) == pytest.approx(integrated, abs=0.0501)  # it prints one decimal


def test_true_peak_is_the_standards_filter():
    """Against a plain convolution in double precision with the taps of BS.1770-4 annex 2."""
    audio = np.random.default_rng(1).uniform(-0.3, 0.3, (1, 3001)).astype(np.float32)
    audio[0, 1500:1508] = [0.3, 0.3, 0.3, 0.3, -0.3, -0.3, -0.3, -0.3]
    expected = max(np.abs(np.convolve(audio[0].astype(np.float64), taps)).max() for taps in TRUE_PEAK_TAPS)
    assert expected > np.abs(audio).max()
    assert true_peak_dbtp(audio, 48000) == pytest.approx(20 * math.log10(expected), abs=1e-5)
    assert TRUE_PEAK_TAPS.sum(axis=1) == pytest.approx([1.0016, 0.9732, 0.9732, 1.0016], abs=1e-3)
