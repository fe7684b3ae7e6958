"""The GPU kernels equal the plain forms. Run by ``test_triton``: Triton reads its interpreter's switch when it is imported."""

import pytest
import scipy.signal
import torch

from stylefx.differentiable.losses import MultiResolutionSTFTLoss
from stylefx.differentiable.operators import forms, scans, spectral_distance
from stylefx.differentiable.operators.biquads import biquads
from stylefx.differentiable.operators.dynamics import dynamics, smooth_reduction
from stylefx.differentiable.operators.filtering import padding
from stylefx.differentiable.operators.frequency import fft_length, filter_spectrum
from stylefx.differentiable.operators.gpu import recursions, spectra
from stylefx.differentiable.operators.sections import digital_coefficients, warped_sections
from stylefx.effects.registry import make_effect
from tests.support.ends import disagreements, force_form
from tests.support.twin_references import relative

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


@pytest.fixture(autouse=True)
def _short_blocks(monkeypatch):
    """Several blocks in signals short enough for the interpreter."""
    if DEVICE == "cpu":
        monkeypatch.setattr(recursions, "BLOCK", 32)
        monkeypatch.setattr(spectra, "BLOCK", 64)


def draw(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype).to(DEVICE)


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("rates", [(0.5, 0.01), (0.01, 0.5), (1.0, 0.02), (0.1, 0.1)])
@pytest.mark.parametrize("samples", [1, 75])
def test_smoother_and_its_gradients(sign, rates, samples):
    reduction = draw(2, samples).cumsum(-1).clamp(min=0.0)
    if rates[0] < 1.0:  # a rise at once would sit on the kink there, where either branch is right
        reduction[0, samples // 2 :] = 7.0  # a stretch where the state comes to rest
    upstream, results = draw(2, samples, seed=1), []
    for form in ("triton", "scan"):
        inputs = [t.clone().requires_grad_() for t in (reduction, *(draw(2) * 0.0 + rate for rate in rates))]
        out = smooth_reduction(*inputs, sign, form)
        results.append((out, *torch.autograd.grad((out * upstream).sum(), inputs)))
    for kernel, plain in zip(*results):
        assert relative(kernel.cpu(), plain.cpu()) < 1e-6


def test_a_state_on_its_way_to_zero_does_not_come_to_rest_before():
    reduction = torch.cat([torch.full((1, 20), 40.0), torch.zeros(1, 130)], -1).double().to(DEVICE)
    slow, fast = (torch.tensor([v], dtype=torch.float64, device=DEVICE) for v in (0.001, 0.4))
    out = recursions.branching_smoother(reduction, slow, fast).cpu()
    expected = out[0, 19] * 0.6 ** torch.arange(1, 131, dtype=torch.float64)
    assert torch.allclose(out[0, 20:], expected, rtol=1e-9, atol=0.0)


def test_recursion_and_its_gradients():
    audio, upstream, results = draw(2, 2, 70), draw(2, 2, 70, seed=1), []
    gain, cutoff, q = draw(2, 3) * 12, draw(2, 3, seed=2).abs() * 3000 + 50, draw(2, 3, seed=3).abs() * 3 + 0.3
    sections = warped_sections("peak", gain, cutoff, q, 24000.0)
    for form in ("triton", "scan"):
        inputs = [audio.clone().requires_grad_(), digital_coefficients(sections).requires_grad_()]
        out = biquads(*inputs, form)
        results.append((out, *torch.autograd.grad((out * upstream).sum(), inputs)))
    for kernel, plain in zip(*results):
        assert relative(kernel.cpu(), plain.cpu()) < 1e-10
    slow = torch.tensor([[1.0, -1.9998, 0.9999, -1.9999, 0.99991]], dtype=torch.float64, device=DEVICE)
    truth = scipy.signal.lfilter(slow[0, :3].cpu(), [1.0, *slow[0, 3:].tolist()], audio[0].cpu())
    for form in (recursions, scans):
        assert relative(form.section(audio[:1], slow)[0].cpu(), truth) < 1e-10


@pytest.mark.parametrize("kind", ["peak", "notch", "low_shelf"])
def test_fused_response_and_its_gradients(kind, monkeypatch):
    audio, upstream, results = draw(2, 2, 60, dtype=torch.float32), draw(2, 2, 60, seed=1, dtype=torch.float32), []
    gain, cutoff, q = draw(2, 3) * 12, draw(2, 3, seed=2).abs() * 3000 + 900, draw(2, 3, seed=3).abs() + 0.3
    sections = warped_sections(kind, gain, cutoff, q, 24000.0)
    length = fft_length(60 + min(padding(sections.cpu()), 200))
    for fused in (True, False):
        monkeypatch.setattr(forms, "uses_triton", lambda tensor, fused=fused: fused)
        inputs = [audio.clone().requires_grad_(), sections.clone().requires_grad_()]
        out = filter_spectrum(*inputs, length)
        results.append((out, *torch.autograd.grad((out * upstream).sum(), inputs)))
    for kernel, plain in zip(*results):
        assert relative(kernel.cpu(), plain.cpu()) < 1e-5


def test_fused_distance_and_both_gradients(monkeypatch):
    output, target, results = draw(2, 2, 100, dtype=torch.float32), draw(2, 2, 100, seed=1, dtype=torch.float32), []
    output[0, 0] = target[0, 0]
    monkeypatch.setattr(spectral_distance, "compiled_here", lambda spectrum: False)
    for fused in (True, False):
        monkeypatch.setattr(forms, "uses_triton", lambda tensor, fused=fused: fused)
        inputs = [output.clone().requires_grad_(), target.clone().requires_grad_()]
        loss = MultiResolutionSTFTLoss((16, 32), reduction="none").to(DEVICE)(*inputs)
        results.append((loss, *torch.autograd.grad(loss.sum(), inputs)))
    for kernel, plain in zip(*results):
        assert relative(kernel.cpu(), plain.cpu()) < 1e-4


LAWS = [
    [-30.0, 0.75, 6.0, torch.inf, 0.2, 0.01, 3.0],
    [-20.0, 0.5, 0.0, 30.0, 0.01, 0.3, 0.0],
    [-9.0, 3.0, 12.0, 8.0, 0.3, 0.05, -2.0],
]


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("samples", [1, 90])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_whole_dynamics_by_kernels(sign, samples, dtype):
    """Values and the gradients of audio and law; the truth in float64."""
    audio, upstream, results = draw(3, 2, samples) * 0.3, draw(3, 2, samples, seed=1), []
    audio[1, 1] = audio[1, 0]  # channels that tie
    audio[2, :, samples // 2 :] = 0.0
    for form, precision in (("triton", dtype), ("scan", torch.float64)):
        law = torch.tensor(LAWS, dtype=torch.float64, device=DEVICE).requires_grad_()
        inputs = [audio.to(dtype).to(precision).requires_grad_(), law]
        out = dynamics(*inputs, sign, form)
        results.append((out, *torch.autograd.grad((out * upstream).sum(), inputs)))
    for kernel, plain in zip(*results):
        assert relative(kernel.cpu(), plain.cpu()) < (1e-9 if dtype == torch.float64 else 1e-6)


@pytest.mark.skipif(DEVICE == "cuda", reason="the references and the settings lie on the host")
@pytest.mark.parametrize("name", ["compressor", "expander", "gate", "limiter"])
def test_gradients_at_the_ends_and_at_the_defaults_are_one_sided_differences(name, monkeypatch):
    """What a multiband compressor and the equalisers are made of is here and above; the interpreter is slow."""
    force_form(monkeypatch, "triton")
    assert disagreements(make_effect(name), 24000.0, samples=30, channels=1) == []
