"""Encoders: sizes as published, one item never sees another, frequency is kept, any rate, any channels."""

from __future__ import annotations

import pytest
import torch

from stylefx.errors import UserError
from stylefx.models.efficientnet import EfficientNet
from stylefx.models.features import Dynamics
from stylefx.models.registry import make_encoder

torch.set_num_threads(1)


def count(module) -> float:
    return sum(p.numel() for p in module.parameters()) / 1e6


def test_paper_b2_has_the_published_size():
    """EfficientNet-B2 has 9.11 M parameters with 3 input channels and 1000 classes (Tan and Le 2019: 9.2 M)."""
    trunk = EfficientNet(1.1, 1.2)
    three_channels, classes = 2 * 32 * 9 / 1e6, (1408 * 1000 + 1000) / 1e6
    assert trunk.channels == 1408
    assert count(trunk) + three_channels + classes == pytest.approx(9.110, abs=0.001)
    assert count(make_encoder("paper-b2")) == pytest.approx(9.1, abs=0.05)


@pytest.mark.parametrize(("name", "low", "high"), [("tiny", 0.7, 1.3), ("base", 3.5, 5.5)])
def test_our_encoders_have_the_size_they_promise(name, low, high):
    assert low < count(make_encoder(name)) < high


@pytest.mark.parametrize("name", ["tiny", "base", "paper-b2"])
@pytest.mark.parametrize(("channels", "rate", "samples"), [(1, 24000, 20000), (2, 44100, 33000), (1, 96000, 3000)])
def test_any_rate_channels_and_length_give_an_embedding(name, channels, rate, samples):
    encoder = make_encoder(name).eval()
    with torch.no_grad():
        e = encoder(0.1 * torch.randn(2, channels, samples), rate)
    assert e.shape == (2, encoder.embedding_size)
    assert torch.isfinite(e).all()


@pytest.mark.parametrize("name", ["tiny", "base"])
def test_an_embedding_does_not_depend_on_the_rest_of_the_batch_even_in_training(name):
    encoder = make_encoder(name).train()
    x = 0.1 * torch.randn(3, 1, 16384)
    with torch.no_grad():
        together = encoder(x, 24000)
        alone = torch.cat([encoder(item[None], 24000) for item in x])
    assert torch.allclose(together, alone, atol=1e-4)
    assert not list(encoder.buffers(recurse=True)) or all("running" not in n for n, _ in encoder.named_buffers())


@pytest.mark.parametrize("name", ["tiny", "base"])
def test_shifting_the_spectrum_is_seen(name):
    """Pooling over frequency would make two narrow bands of noise alike; here they are not."""
    torch.manual_seed(0)
    encoder = make_encoder(name).eval()
    t = torch.arange(24000) / 24000
    with torch.no_grad():
        a, b, again = (encoder(0.1 * torch.sin(2 * torch.pi * hz * t + phase)[None, None], 24000) for hz, phase in (
            (500, 0.0), (3000, 0.0), (500, 1.0)))  # fmt: skip
    assert (a - b).norm() > 5 * (a - again).norm()


@pytest.mark.parametrize("name", ["tiny", "base"])
def test_the_side_of_a_stereo_signal_is_heard(name):
    encoder = make_encoder(name).eval()
    mid, side = 0.1 * torch.randn(1, 1, 16384), 0.1 * torch.randn(1, 1, 16384)
    with torch.no_grad():
        mono, same = encoder(mid, 24000), encoder(mid.expand(1, 2, -1), 24000)
        wide = encoder(torch.cat([mid + side, mid - side], dim=1), 24000)
    assert torch.allclose(mono, same, atol=1e-3)
    assert (wide - mono).abs().max() > 0.05


def test_paper_b2_embeddings_have_unit_length_and_take_the_published_spectrogram():
    encoder = make_encoder("paper-b2").eval()
    x = 0.1 * torch.randn(1, 1, 131072)
    assert encoder.spectrogram(x).shape == (1, 1, 2049, 65)
    frame = torch.fft.rfft(x[0, 0, 8192 : 8192 + 4096] * torch.hann_window(4096)).abs() ** 0.3
    assert torch.allclose(encoder.spectrogram(x)[0, 0, :, 5], (frame - 0.32297) / 0.278452, atol=1e-3)
    with torch.no_grad():
        assert encoder(x, 24000).norm() == pytest.approx(1.0, abs=1e-5)


def test_ablations_of_base_are_options():
    x = 0.1 * torch.randn(1, 1, 16384)
    for options in (
        {"use": ["map"]},
        {"use": ["averages"]},
        {"use": ["envelope"]},
        {"coordinate": False},
        {"pool_frequency": True},
    ):
        assert make_encoder("base", **options)(x, 24000).shape == (1, 512)
    with pytest.raises(UserError, match=r"use is \['maps'\]"):
        make_encoder("base", use=["maps"])


def test_unknown_names_are_answered_with_the_near_miss():
    with pytest.raises(UserError, match="did you mean 'tiny'"):
        make_encoder("tinny")
    with pytest.raises(UserError, match="does not take these options"):
        make_encoder("tiny", depth=3)


def test_dynamics_size_is_what_it_returns():
    assert Dynamics()(torch.randn(2, 24000), 24000).shape[1] == Dynamics.size
