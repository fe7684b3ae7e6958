"""A step on a device never waits for the host: nothing in it reads a value back."""

from contextlib import contextmanager

import pytest
import torch
from torch._library.custom_ops import CustomOpDef
from torch.utils._python_dispatch import TorchDispatchMode

from stylefx.differentiable import DifferentiableChain
from stylefx.differentiable.losses import StyleTransferLoss
from stylefx.differentiable.operators import biquads, dynamics, forms, frequency, scans, spectral_distance
from stylefx.differentiable.operators.frequency import filter_spectrum
from stylefx.effects.chain import EffectChain
from stylefx.effects.registry import effect_names, make_effect

READS = {"_local_scalar_dense", "nonzero", "equal", "is_nonzero", "masked_select", "unique"}
COPIES = {"_to_copy", "copy_"}


class NoReads(TorchDispatchMode):
    """Fails on operators whose result the host needs before it can go on, and on copies between host and device."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.__name__.split(".")[0]
        assert name not in READS, f"{name} waits for the device"
        out = function(*args, **(kwargs or {}))
        if name in COPIES:
            places = {t.device.type for t in (*args, out) if isinstance(t, torch.Tensor)}
            assert len(places) == 1, f"{name} waits for a copy"
        return out


@pytest.fixture
def cuda_path(monkeypatch):
    """Tensors of the meta device go where those of CUDA go, and the operators' insides run on them, not their descriptions
    for tracers; kernels are launched into the void. Returns the names of those launched."""
    recursions = pytest.importorskip(
        "stylefx.differentiable.operators.gpu.recursions", reason="Triton is not installed: pip install triton"
    )
    launched: set[str] = set()
    guarded: list[torch.device] = []  # the devices that are made current, the innermost last

    @contextmanager
    def on(tensor):
        guarded.append(tensor.device)
        yield
        guarded.pop()

    def launcher(kernel, grid):
        def launch(*arguments, **options):
            launched.add(kernel.fn.__name__)
            places = {t.device for t in arguments if isinstance(t, torch.Tensor)}
            assert places == set(guarded[-1:]), f"{kernel.fn.__name__} runs on the current device, wherever its tensors are"

        return launch

    monkeypatch.setattr(torch.cuda, "device_of", on)
    monkeypatch.setattr(type(recursions._smoother_kernel), "__getitem__", launcher)
    monkeypatch.setattr(forms, "uses_triton", lambda tensor: True)
    for module in (biquads, dynamics, frequency, spectral_distance):
        for operator in vars(module).values():
            if isinstance(operator, CustomOpDef):
                monkeypatch.setattr(operator, "_abstract_fn", operator._init_fn)
    return launched


KERNELS = {
    "compressor": {
        "_reduction_kernel",
        "_smoother_kernel",
        "_gain_kernel",
        "_carry_kernel",
        "_hand_back_kernel",
        "_adjoint_kernel",
    },
    "limiter": {"_smoother_kernel", "_smoother_carry_kernel", "_hand_back_kernel", "_smoother_adjoint_kernel"},
    "parametric_eq": {"_apply_kernel", "_adjoint_kernel"},
    "reverb": {"_section_kernel"},
}


@pytest.mark.parametrize("name", effect_names())
def test_a_whole_step_on_the_path_of_cuda(name, cuda_path):
    """Forward, loss and backward, the insides of all operators included, on tensors without values: reading one is an
    error. The first step may copy constants to the device; the second copies nothing."""
    chain = DifferentiableChain(EffectChain.of(make_effect(name)))
    loss = StyleTransferLoss(fft_sizes=(32, 512)).to("meta")
    audio = torch.empty(2, 2, 4000, device="meta", requires_grad=True)
    controls = torch.empty(2, chain.num_controls, device="meta", requires_grad=True)

    def step():
        out = chain(audio, controls, 24000)
        return torch.autograd.grad(loss(out, torch.empty_like(audio)), [audio, controls])

    step()
    with NoReads():
        gradients = step()
    assert [g.shape for g in gradients] == [audio.shape, controls.shape]
    assert cuda_path >= {"_distance_kernel"} | KERNELS.get(name, set())


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
        scans.section(x[:, None], x[:, :5])
        out = filter_spectrum(audio, sections, 1024)
        torch.autograd.grad(loss(out, torch.zeros_like(out)), audio)


def test_the_watch_sees_a_read():
    with pytest.raises(AssertionError, match="waits for the device"), NoReads():
        torch.ones(1).item()
    with pytest.raises(AssertionError, match="waits for a copy"), NoReads():
        torch.ones(1).to("meta")
