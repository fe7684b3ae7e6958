"""The features are the same at any sample rate and mean what they say."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.signal
import torch

from stylefx.models.features import Dynamics, LogBands, average_spectrum

RATES = [16000, 24000, 44100, 48000, 96000]


def tone(hz: float, seconds: float, rate: int, level: float = 0.1) -> torch.Tensor:
    return torch.tensor(level * np.sin(2 * np.pi * hz * np.arange(int(seconds * rate)) / rate), dtype=torch.float32)[None]


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("hz", [100.0, 1000.0, 6000.0])
def test_a_tone_lands_in_its_band_at_its_level_at_any_rate(rate, hz):
    bands = LogBands(80)
    level = bands(tone(hz, 1.0, rate), rate).mean(dim=-1)[0]
    centres = 40 * (20000 / 40) ** (np.arange(80) / 79)
    assert abs(np.log2(centres[int(level.argmax())] / hz)) < 0.12
    reference = bands(tone(hz, 1.0, 48000), 48000).mean(dim=-1)[0]
    assert (level.max() - reference.max()).abs() * 20 < 1.5  # dB


@pytest.mark.parametrize("rate", RATES[1:])
def test_noise_has_the_same_rows_at_any_rate_below_its_band_limit(rate):
    """One recording, resampled by an independent resampler, gives the same average spectrum up to 7 kHz."""
    noise = np.random.default_rng(0).standard_normal(16000 * 4)
    noise = 0.05 * scipy.signal.lfilter([1], [1, -0.7], noise)
    up = scipy.signal.resample(noise, len(noise) * rate // 16000)
    bands = LogBands(80)
    rows = [
        average_spectrum(bands.power(torch.tensor(x, dtype=torch.float32)[None], r))[0, :80]
        for x, r in ((noise, 16000), (up, rate))
    ]
    below = 40 * (20000 / 40) ** (np.arange(80) / 79) < 7000
    assert ((rows[0] - rows[1]).abs()[below] * 20).max() < 1.5  # dB


def test_bands_above_nyquist_are_marked_and_hold_the_floor():
    bands = LogBands(80)
    level, exists = bands(torch.randn(1, 16000), 16000), bands.exists(16000, torch.device("cpu"))
    centres = 40 * (20000 / 40) ** (np.arange(80) / 79)
    assert np.array_equal(exists.numpy() > 0, centres < 8000)
    assert torch.all(level[0, exists == 0] == -2.0)


def test_no_band_is_empty_at_any_rate():
    for rate in RATES:
        bands = LogBands(128)
        _, weights, exists = bands._tables(rate, torch.device("cpu"))
        assert torch.allclose(weights.sum(dim=1), exists, atol=1e-5)


@pytest.mark.parametrize("rate", RATES)
def test_dynamics_do_not_depend_on_the_rate_and_see_compression(rate):
    t = np.arange(3 * rate) / rate
    envelope = np.where((t * 4) % 1 < 0.34, 1.0, 0.05)
    loud = torch.tensor(0.3 * envelope * np.sin(2 * np.pi * 440 * t), dtype=torch.float32)[None]
    squeezed = torch.tensor(0.3 * envelope**0.4 * np.sin(2 * np.pi * 440 * t), dtype=torch.float32)[None]
    dynamics = Dynamics()
    got = dynamics(loud, rate)
    assert got.shape == (1, Dynamics.size)
    reference_t = np.arange(3 * 48000) / 48000
    gate = np.where((reference_t * 4) % 1 < 0.34, 1.0, 0.05)
    reference = torch.tensor(0.3 * gate * np.sin(2 * np.pi * 440 * reference_t), dtype=torch.float32)[None]
    assert (got - dynamics(reference, 48000)).abs().max() < 0.15  # 3 dB: edges of the gate fall elsewhere in a block
    spread = [float(x[0, 12] - x[0, 2]) * 20 for x in (got, dynamics(squeezed, rate))]  # 10 % to 98 % level, dB
    assert spread[0] == pytest.approx(26, abs=1.5)
    assert spread[1] == pytest.approx(10.4, abs=1.5)


@pytest.mark.parametrize("samples", [64, 1000, 5000])
def test_very_short_and_silent_audio_give_finite_features(samples):
    for audio in (torch.zeros(2, samples), 1e-3 * torch.randn(2, samples)):
        assert torch.isfinite(Dynamics()(audio, 24000)).all()
        assert torch.isfinite(average_spectrum(LogBands(80).power(audio, 24000))).all()
