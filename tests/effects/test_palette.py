"""Multiband compressor, stereo, saturation, delay, reverberation: what each is for, measured on signals that show it."""

from __future__ import annotations

import numpy as np
import pytest

from stylefx.effects.palette.delay import Delay
from stylefx.effects.palette.multiband_compressor import MultibandCompressor
from stylefx.effects.palette.reverb import Reverb, feedback_matrix
from stylefx.effects.palette.saturation import Saturation
from stylefx.effects.palette.stereo import Pan, StereoWidth
from stylefx.errors import UserError
from tests.support.effect_references import draw, programme


def impulse(samples: int, channels: int = 1) -> np.ndarray:
    return np.eye(1, samples, dtype=np.float32).repeat(channels, axis=0)


def tone(freq_hz: float, rate: float, level: float = 0.5, samples: int = 48000) -> np.ndarray:
    return (level * np.sin(2 * np.pi * freq_hz * np.arange(samples) / rate))[None].astype(np.float32)


# -- multiband compressor


@pytest.mark.parametrize("rate", [24000, 44100, 96000])
@pytest.mark.parametrize("num_bands", [2, 3, 4])
def test_bands_add_up_to_a_flat_magnitude_for_any_crossovers(num_bands, rate):
    effect, rng = MultibandCompressor(num_bands), np.random.default_rng(1)
    for _ in range(10):
        settings = {k: v for k, v in draw(effect, rng).items() if k.startswith("crossover")}
        spectrum = np.abs(np.fft.rfft(effect.render(impulse(65536), settings, rate)[0]))
        np.testing.assert_allclose(20 * np.log10(spectrum), 0.0, atol=2e-4)


def test_each_band_is_compressed_on_its_own():
    effect, rate = MultibandCompressor(3), 48000
    settings = {"crossover1_hz": 200.0, "crossover2_hz": 3000.0, "band2_threshold_db": -40.0, "band2_ratio": 10.0}
    for freq_hz, changed in ((50.0, False), (800.0, True), (12000.0, False)):
        audio = tone(freq_hz, rate)
        loss_db = 20 * np.log10(audio[0, 24000:].std() / effect.render(audio, settings, rate)[0, 24000:].std())
        assert (loss_db > 10.0) == changed
        assert changed or loss_db < 0.5


def test_crossovers_must_rise_and_bands_be_two_to_four():
    with pytest.raises(UserError, match="ascending"):
        MultibandCompressor(3).render(impulse(10), {"crossover1_hz": 5000.0, "crossover2_hz": 1000.0}, 44100)
    with pytest.raises(UserError, match="2, 3 or 4"):
        MultibandCompressor(5)
    with pytest.raises(UserError, match="band 2: compressor: ratio is"):
        MultibandCompressor(2).render(impulse(10), {"band2_ratio": 0.5}, 44100)


# -- stereo


def test_width_zero_is_mono_and_width_two_doubles_the_side():
    audio = programme(np.random.default_rng(2), 2, 1000)
    narrow = StereoWidth().render(audio, {"width": 0.0}, 44100)
    np.testing.assert_array_equal(narrow[0], narrow[1])
    wide = StereoWidth().render(audio, {"width": 2.0}, 44100)
    np.testing.assert_allclose(wide[0] - wide[1], 2 * (audio[0] - audio[1]), atol=1e-6)
    np.testing.assert_allclose(wide.sum(axis=0), audio.sum(axis=0), atol=1e-6)


@pytest.mark.parametrize("position", [-1.0, -0.4, 0.0, 0.7, 1.0])
def test_pan_keeps_the_power(position):
    out = Pan().render(np.ones((2, 4), np.float32), {"pan": position}, 44100)
    np.testing.assert_allclose((out**2).sum(axis=0), 2.0, rtol=1e-6)
    assert (out[1] > out[0]).all() == (position > 0)


@pytest.mark.parametrize("effect", [StereoWidth(), Pan(), Reverb()], ids=lambda e: e.name)
def test_more_than_two_channels_are_refused_where_sides_matter(effect):
    with pytest.raises(UserError, match="mono and stereo"):
        effect.render(np.zeros((3, 10)), None, 44100)


# -- saturation


def test_saturation_folds_back_far_less_than_a_plain_tangent():
    rate, drive_db = 44100, 20.0
    spectrum_of = lambda x: np.abs(np.fft.rfft(x[-32768:] * np.blackman(32768)))  # noqa: E731
    freq_hz = 4001 * rate / 32768  # an odd bin: harmonics fold back between the harmonics
    audio = tone(freq_hz, rate, 0.7, 65536)
    wet = Saturation().render(audio, {"drive_db": drive_db, "mix": 1.0, "tone_hz": 19000.0}, rate)[0]
    plain = np.tanh(10 ** (drive_db / 20) * audio[0].astype(np.float64))
    bins = np.arange(16385)
    away = np.min([np.abs(bins - k * 4001) for k in range(5)], axis=0) > 8
    away &= (bins > 100) & (bins < 0.8 * 16384)
    aliased = {name: spectrum_of(x)[away].max() / spectrum_of(x).max() for name, x in (("ours", wet), ("plain", plain))}
    assert aliased["plain"] > 0.05
    assert aliased["ours"] < aliased["plain"] / 8


def test_bias_adds_even_harmonics_and_no_dc():
    rate = 48000
    audio = tone(1000.0, rate, 0.5, 96000)
    for bias, even in ((0.0, False), (0.5, True)):
        out = Saturation().render(audio, {"drive_db": 12.0, "bias": bias, "mix": 1.0}, rate)[0, 48000:]
        spectrum = np.abs(np.fft.rfft(out)) / len(out)
        assert (spectrum[2000] > 1e-2) == even
        assert spectrum[0] < 1e-5


def test_saturation_keeps_full_scale_near_full_scale_and_bounds_its_drive():
    rate = 48000
    for drive_db in (0.0, 12.0, 48.0):
        out = Saturation().render(tone(200.0, rate, 1.0), {"drive_db": drive_db, "mix": 1.0}, rate)[0, 24000:]
        assert 0.9 < np.abs(out).max() < 1.25
    with pytest.raises(UserError, match="drive_db"):
        Saturation().render(impulse(10), {"drive_db": 1000.0}, rate)


# -- delay


def test_echoes_come_at_the_delay_and_fade_by_the_feedback():
    rate = 48000
    settings = {"time_ms": 100.0, "feedback": 0.5, "damping_hz": 1e6, "mix": 1.0}
    out = Delay().render(impulse(rate), settings, rate)[0]
    np.testing.assert_allclose(out[[4800, 9600, 14400]], [1.0, 0.5, 0.25], atol=1e-6)
    assert np.count_nonzero(np.abs(out) > 1e-6) == len(range(4800, rate, 4800))


def test_damping_darkens_every_echo_more():
    rate = 48000
    out = Delay().render(impulse(rate), {"time_ms": 100.0, "feedback": 0.9, "damping_hz": 2000.0, "mix": 1.0}, rate)[0]
    highs = [np.abs(np.fft.rfft(out[n : n + 4800]))[800] for n in (4800, 9600, 14400)]
    lows = [np.abs(np.fft.rfft(out[n : n + 4800]))[0] for n in (4800, 9600, 14400)]
    assert lows[2] / lows[0] == pytest.approx(0.81, rel=1e-3)
    assert highs[2] / highs[0] < 0.1


def test_a_fractional_delay_lies_between_the_samples():
    """The phase of a low tone tells the delay to a hundredth of a sample."""
    rate, delay = 48000, 1000.37
    settings = {"time_ms": delay / rate * 1e3, "feedback": 0.0, "damping_hz": 1e9, "mix": 1.0}
    audio = tone(1000.0, rate, 0.5, 48000)
    wet = Delay().render(audio, settings, rate)[0, 2400:]
    phases = np.exp(-2j * np.pi * 1000.0 * np.arange(2400, 48000) / rate)
    lag = np.angle((audio[0, 2400:] * phases).sum() / (wet * phases).sum()) / (2 * np.pi) * rate / 1000.0
    assert (lag - delay + 24) % 48 - 24 == pytest.approx(0.0, abs=0.01)


@pytest.mark.parametrize("settings", [{"feedback": 1.0}, {"time_ms": 0.0}, {"mix": 1.5}, {"damping_hz": 0.0}])
def test_a_delay_that_would_not_decay_or_has_no_sense_is_refused(settings):
    with pytest.raises(UserError, match=next(iter(settings))):
        Delay().render(impulse(10), settings, 44100)


# -- reverberation


def decay_time(response: np.ndarray, rate: float, low_hz: float, high_hz: float) -> float:
    """Seconds to -60 dB, Schroeder's backward integration of a band, fitted from -5 to -35 dB."""
    import scipy.signal

    sos = scipy.signal.butter(4, [low_hz, high_hz], "bandpass", fs=rate, output="sos")
    energy = np.cumsum(scipy.signal.sosfilt(sos, response)[::-1] ** 2)[::-1]
    level = 10 * np.log10(energy / energy[0])
    fit = (level < -5) & (level > -35)
    return -60 / np.polyfit(np.flatnonzero(fit) / rate, level[fit], 1)[0]


@pytest.mark.parametrize("rate", [24000, 48000])
@pytest.mark.parametrize(("decay_s", "ratio"), [(0.6, 1.0), (1.5, 0.3), (3.0, 0.5)])
def test_the_decay_is_as_long_as_asked_low_and_high(decay_s, ratio, rate):
    settings = {"decay_s": decay_s, "high_decay_ratio": ratio, "crossover_hz": 2500.0, "mix": 1.0}
    response = Reverb().render(impulse(int(3 * decay_s * rate)), settings, rate)[0].astype(np.float64)
    assert decay_time(response, rate, 100, 500) == pytest.approx(decay_s, rel=0.1)
    assert decay_time(response, rate, 0.4 * rate, 0.48 * rate) == pytest.approx(decay_s * ratio, rel=0.15)


def test_the_wet_signal_has_about_the_energy_of_the_dry_one():
    rate = 48000
    for decay_s in (0.3, 1.0, 4.0):
        for channels in (1, 2):
            settings = {"decay_s": decay_s, "high_decay_ratio": 1.0, "mix": 1.0}
            response = Reverb().render(impulse(int(2 * decay_s * rate), channels), settings, rate)
            assert 10 * np.log10(np.sum(response.astype(np.float64) ** 2) / channels) == pytest.approx(0.0, abs=2.5)


def test_the_network_loses_nothing_but_what_its_filters_take():
    np.testing.assert_allclose(feedback_matrix() @ feedback_matrix().T, np.eye(8), atol=1e-15)


def test_predelay_and_size_shift_the_first_echo():
    rate = 48000
    first = lambda effect: np.flatnonzero(effect.render(impulse(rate), {"mix": 1.0}, rate)[0])[0]  # noqa: E731
    assert first(Reverb(predelay_ms=50.0)) - first(Reverb()) == 2400
    assert first(Reverb(size=2.0)) == pytest.approx(2 * first(Reverb()), rel=0.02)
    for config in ({"size": 0.0}, {"predelay_ms": -1.0}):
        with pytest.raises(UserError, match=next(iter(config))):
            Reverb(**config)


def test_two_runs_of_the_reverberation_are_the_same_bits():
    audio = programme(np.random.default_rng(3), 2, 20000)
    runs = [Reverb().render(audio, {"mix": 0.5}, 44100) for _ in range(2)]
    np.testing.assert_array_equal(*runs)
