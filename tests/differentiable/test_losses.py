"""The losses equal auraloss, their gradients are exact, and the windows are constants."""

import auraloss
import pytest
import torch

from stylefx.differentiable.losses import FFT_SIZES, MultiResolutionSTFTLoss, StyleTransferLoss
from stylefx.differentiable.operators import spectral_distance as operator
from stylefx.errors import UserError
from tests.support.twin_references import music, relative


def peer(sizes, dtype=torch.float64):
    loss = auraloss.freq.MultiResolutionSTFTLoss(
        list(sizes), [s // 2 for s in sizes], list(sizes), w_sc=0, w_log_mag=1, w_lin_mag=1
    )
    for part in loss.stft_losses:
        part.window = torch.hann_window(part.fft_size, dtype=dtype)
    return loss


def pair(dtype, items=2, channels=2, samples=40001):
    output, target = music(items, channels, samples, 24000, 1).to(dtype), music(items, channels, samples, 24000, 2).to(dtype)
    noise = torch.randn(output.shape, generator=torch.Generator().manual_seed(0), dtype=dtype)
    return (output + 1e-3 * noise).requires_grad_(), target


@pytest.fixture(params=["compiled", "plain"])
def form(request, monkeypatch):
    """Both the compiled comparison and the one that other devices use."""
    if request.param == "plain":
        monkeypatch.setattr(operator, "compiled_here", lambda spectrum: False)
    return request.param


@pytest.mark.parametrize(("dtype", "value", "gradient"), [(torch.float64, 1e-10, 1e-8), (torch.float32, 1e-5, 1e-2)])
def test_value_and_gradient_equal_auraloss(form, dtype, value, gradient):
    output, target = pair(dtype)
    ours = MultiResolutionSTFTLoss()(output, target)
    truth = peer(FFT_SIZES)(output.double(), target.double())
    assert ours.item() == pytest.approx(truth.item(), rel=value)
    (mine,), (theirs,) = torch.autograd.grad(ours, output), torch.autograd.grad(truth, output)
    # In float32 a bin of two equal magnitudes may take the other sign; auraloss in float32 is twice as far off.
    assert relative(mine, theirs) < gradient


@pytest.mark.parametrize("samples", [20, 64, 99])
def test_gradcheck_of_both_signals(form, samples):
    output, target = pair(torch.float64, 2, 1, samples)
    loss = MultiResolutionSTFTLoss((16, 32), linear_weight=0.5, log_weight=2.0, reduction="none")
    assert torch.autograd.gradcheck(loss, (output, target.requires_grad_()), eps=1e-7, atol=1e-4, rtol=1e-3)


def test_items_are_independent_and_average_to_the_mean():
    output, target = pair(torch.float32, items=3)
    per_item = StyleTransferLoss(reduction="none")(output, target)
    assert per_item.shape == (3,)
    alone = torch.stack([StyleTransferLoss()(output[i : i + 1], target[i : i + 1]) for i in range(3)])
    assert torch.allclose(per_item, alone, rtol=1e-5)
    assert StyleTransferLoss()(output, target).item() == pytest.approx(per_item.mean().item(), rel=1e-5)
    assert StyleTransferLoss(reduction="sum")(output, target).item() == pytest.approx(per_item.sum().item(), rel=1e-5)


def test_style_transfer_loss_is_spectral_plus_100_l1():
    output, target = pair(torch.float64)
    expected = peer(FFT_SIZES)(output, target) + 100 * torch.nn.functional.l1_loss(output, target)
    ours = StyleTransferLoss()(output, target)
    assert ours.item() == pytest.approx(expected.item(), rel=1e-10)
    (mine,), (theirs,) = torch.autograd.grad(ours, output), torch.autograd.grad(expected, output)
    assert relative(mine, theirs) < 1e-8


def test_the_analysis_window_is_never_trainable():
    loss = StyleTransferLoss()
    assert list(loss.parameters()) == []
    assert loss.state_dict() == {}
    windows = {name: b.clone() for name, b in loss.named_buffers()}
    assert len(windows) == len(FFT_SIZES)
    output, target = pair(torch.float32)
    loss(output, target).backward()
    assert all(not b.requires_grad and b.grad is None for b in loss.buffers())
    assert all(torch.equal(b, windows[name]) for name, b in loss.named_buffers())


def test_nothing_is_written_into_the_prediction():
    output, target = pair(torch.float32)
    before = output.detach().clone(), target.clone()
    StyleTransferLoss()(output, target).backward()
    assert torch.equal(output.detach(), before[0])
    assert torch.equal(target, before[1])
    assert output._version == 0


@pytest.mark.parametrize("signal", ["silence", "equal", "dc", "full scale"])
def test_degenerate_signals_give_finite_gradients(signal):
    target = music(1, 1, 20000, 24000)
    value = {
        "silence": torch.zeros_like(target),
        "equal": target,
        "dc": torch.ones_like(target),
        "full scale": target / target.abs().max(),
    }
    output = value[signal].clone().requires_grad_()
    loss = StyleTransferLoss()(output, target)
    loss.backward()
    assert torch.isfinite(output.grad).all()
    assert signal != "equal" or loss.item() == 0.0


def test_without_gradients_only_the_value_is_computed():
    output, target = pair(torch.float32)
    with torch.no_grad():
        value = MultiResolutionSTFTLoss()(output, target)
    assert not value.requires_grad
    assert value.item() == pytest.approx(MultiResolutionSTFTLoss()(output, target).item(), rel=1e-6)


def test_mistakes_are_refused_with_a_sentence():
    with pytest.raises(UserError, match="16384 samples"):
        MultiResolutionSTFTLoss()(torch.zeros(1, 1, 16384), torch.zeros(1, 1, 16384))
    with pytest.raises(UserError, match="one shape"):
        StyleTransferLoss()(torch.zeros(1, 1, 20000), torch.zeros(1, 2, 20000))
    with pytest.raises(UserError, match="even"):
        MultiResolutionSTFTLoss((15,))
    with pytest.raises(UserError, match="average"):
        MultiResolutionSTFTLoss(reduction="average")
