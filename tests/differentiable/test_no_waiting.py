"""A step on a device never waits for the host: nothing in it reads a value back."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from stylefx.differentiable import DifferentiableChain
from stylefx.differentiable.losses import StyleTransferLoss
from stylefx.differentiable.operators import scans, spectral_distance
from stylefx.differentiable.operators.frequency import filter_spectrum
from stylefx.effects.chain import EffectChain
from stylefx.effects.registry import effect_names, make_effect

READS = {"_local_scalar_dense", "nonzero", "equal", "is_nonzero", "masked_select", "unique"}


class NoReads(TorchDispatchMode):
    """Fails on operators whose result the host needs before it can go on."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.__name__.split(".")[0]
        assert name not in READS, f"{name} waits for the device"
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("name", effect_names())
def test_effects_and_loss_on_a_device_without_values(name):
    """Tensors of the meta device have none: reading one is an error. The operators' insides are looked at below."""
    chain = DifferentiableChain(EffectChain.of(make_effect(name)))
    loss = StyleTransferLoss(fft_sizes=(32, 512))
    audio = torch.empty(2, 2, 4000, device="meta", requires_grad=True)
    controls = torch.empty(2, chain.num_controls, device="meta", requires_grad=True)
    out = chain(audio, controls, 24000)
    value = loss.to("meta")(out, torch.empty_like(audio))
    gradients = torch.autograd.grad(value, [audio, controls])
    assert out.shape == audio.shape
    assert [g.shape for g in gradients] == [audio.shape, controls.shape]


def test_insides_of_the_plain_operators(monkeypatch):
    monkeypatch.setattr(spectral_distance, "compiled_here", lambda spectrum: False)
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(2, 700, generator=generator, dtype=torch.float64)
    sections = torch.rand(2, 3, 6, generator=generator, dtype=torch.float64) + 1.0
    audio = torch.rand(2, 1, 700, generator=generator, requires_grad=True)
    loss = StyleTransferLoss(fft_sizes=(32, 64))
    with NoReads():
        scans.branching_smoother(x, x[:, :1], x[:, 1:2])
        scans.smoother_adjoint(x, x)
        scans.all_pole(x[:, None], x[:, 0] - 1.0, x[:, 1])
        out = filter_spectrum(audio, sections, 1024)
        torch.autograd.grad(loss(out, torch.zeros_like(out)), audio)


def test_the_watch_sees_a_read():
    with pytest.raises(AssertionError, match="waits"), NoReads():
        torch.ones(1).item()
