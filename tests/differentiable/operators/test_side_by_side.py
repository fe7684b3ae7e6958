"""Frames side by side: the distance and its gradients are those of the definition in double precision."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
from torch import Tensor

from stylefx.audio import fft
from stylefx.differentiable.operators import spectral_distance
from stylefx.differentiable.operators.compiled import side_by_side

LINEAR, LOGARITHMIC = 0.7, 1.3


def signals(samples: int) -> tuple[Tensor, Tensor]:
    """Three rows: noise, the same signal twice, and silence for half of the time."""
    generator = torch.Generator().manual_seed(samples)
    x, y = (0.1 * torch.randn(3, 1, samples, generator=generator) for _ in range(2))
    y[1] = x[1]
    x[2, :, : samples // 2] = 0.0
    y[2, :, : samples // 2] = 0.0
    return x, y


def by_definition(x: Tensor, y: Tensor, size: int) -> Tensor:
    """Per item, in the precision of its arguments, with torch's own operators."""
    window = torch.hann_window(size, dtype=x.dtype)
    spectra = [torch.stft(s[:, 0], size, size // 2, window=window, return_complex=True) for s in (x, y)]
    powers = [(s.real.square() + s.imag.square()).clamp(min=1e-8) for s in spectra]
    linear = (powers[0].sqrt() - powers[1].sqrt()).abs()
    return (LINEAR * linear + LOGARITHMIC * 0.5 * (powers[0].log() - powers[1].log()).abs()).mean((1, 2))


@pytest.fixture
def in_lanes(monkeypatch):
    """How many resolutions went the way that is tested here."""
    calls, way = [], spectral_distance._distances_in_lanes
    monkeypatch.setattr(spectral_distance, "_distances_in_lanes", lambda *a: (calls.append(a[1].shape[0]), way(*a)))
    return calls


@pytest.mark.parametrize(("size", "samples"), [(32, 600), (32, 4097), (128, 5000), (480, 9999), (512, 8192), (2048, 36000)])
@pytest.mark.parametrize("threads", [1, 2])
def test_value_and_gradients_are_those_of_double_precision(size, samples, threads, in_lanes):
    x, y = (s.requires_grad_() for s in signals(samples))
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        found = spectral_distance.spectral_distance(x, y, [torch.hann_window(size)], LINEAR, LOGARITHMIC)
    finally:
        torch.set_num_threads(before)
    assert in_lanes == [size]
    weights = torch.tensor([1.0, 2.0, 3.0])
    gradients = torch.autograd.grad((found * weights).sum(), (x, y))
    exact_x, exact_y = (s.detach().double().requires_grad_() for s in (x, y))
    exact = by_definition(exact_x, exact_y, size)
    torch.testing.assert_close(found.double(), exact, rtol=1e-6, atol=1e-9)
    for got, wanted in zip(gradients, torch.autograd.grad((exact * weights).sum(), (exact_x, exact_y)), strict=True):
        # bins that are nearly empty have steep gradients, which single precision can only hold so well
        assert (got - wanted).norm() < 2e-3 * wanted.norm()
        assert (got[1] == 0.0).all()


def test_without_gradients_nothing_is_kept():
    x, y = signals(4000)
    found = spectral_distance.spectral_distance(x, y, [torch.hann_window(64)], LINEAR, LOGARITHMIC)
    assert not found.requires_grad
    torch.testing.assert_close(found, by_definition(x.double(), y.double(), 64).float())


@pytest.mark.parametrize(
    ("size", "samples", "dtype"), [(2048, 8000, torch.float32), (14, 4000, torch.float32), (64, 4000, torch.float64)]
)
def test_few_frames_odd_sizes_and_double_precision_go_the_other_way(size, samples, dtype, in_lanes):
    x, y = (s.to(dtype) for s in signals(samples))
    found = spectral_distance.spectral_distance(x, y, [torch.hann_window(size, dtype=dtype)], LINEAR, LOGARITHMIC)
    assert in_lanes == []
    torch.testing.assert_close(found, by_definition(x.double(), y.double(), size).to(dtype))


def test_a_change_of_what_is_compiled_in_changes_the_file_that_the_cache_knows():
    used = (Path(fft.__file__).with_name("lanes.py"), Path(side_by_side.__file__).with_name("spectra.py"))
    content = b"".join(path.read_bytes().replace(b"\r\n", b"\n") for path in used)
    digest = hashlib.sha256(content).hexdigest()[:12]
    assert f"``{digest}``" in (side_by_side.__doc__ or ""), f"side_by_side.py has to state ``{digest}``"
