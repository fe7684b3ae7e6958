"""Effects and loss on a CUDA device: the CPU's values and gradients, in one graph, without waiting."""

from __future__ import annotations

import pytest
import torch

from stylefx.differentiable import DifferentiableChain
from stylefx.differentiable.losses import MultiResolutionSTFTLoss, StyleTransferLoss
from stylefx.differentiable.operators import forms
from stylefx.effects.chain import EffectChain
from stylefx.effects.presets import deepafx_st_chain
from tests.support.effect_cases import VARIANT_IDS, VARIANTS, make
from tests.support.plain_cpu import plain_cpu
from tests.support.twin_references import music, relative

pytestmark = pytest.mark.gpu
RATE = 24000


def gradients(call, *leaves):
    leaves = [t.detach().clone().requires_grad_() for t in leaves]
    out = call(*leaves)
    upstream = torch.randn(out.shape, generator=torch.Generator().manual_seed(1)).to(out)
    return [t.detach().cpu() for t in (out, *torch.autograd.grad((out * upstream).sum(), leaves))]


@pytest.mark.parametrize("variant", VARIANTS, ids=VARIANT_IDS)
def test_every_effect_equals_the_cpu_in_float64(variant):
    effect = make(variant)
    chain = DifferentiableChain(EffectChain.of(effect))
    audio = music(4, 2, 3000, RATE)
    controls = 0.1 + 0.8 * torch.rand(4, chain.num_controls, generator=torch.Generator().manual_seed(2), dtype=torch.float64)

    def call(x, c):
        return chain(x, c, RATE)

    with plain_cpu():
        truth = gradients(call, audio.double(), controls)
    ours = gradients(call, audio.cuda(), controls.cuda())
    assert relative(ours[0], truth[0]) < 2e-6
    assert relative(ours[1], truth[1]) < 1e-4
    assert relative(ours[2], truth[2]) < 1e-3


def step_of(items: int = 3, samples: int = 20000):
    """Chain and loss, forward and backward, from fixed places in memory; what it returns stays there."""
    chain, loss = DifferentiableChain(deepafx_st_chain()), StyleTransferLoss().cuda()
    audio = music(items, 1, samples, RATE).cuda()
    controls = torch.rand(items, chain.num_controls, device="cuda", generator=torch.Generator("cuda").manual_seed(0))
    controls.requires_grad_()

    def step():
        value = loss(chain(audio, controls, RATE), audio)
        return value.detach(), torch.autograd.grad(value, controls)[0]

    return step, controls


def test_a_step_never_waits_for_the_device():
    step, _ = step_of()
    step()  # constants are copied there once
    torch.cuda.synchronize()
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        step()
    finally:
        torch.cuda.set_sync_debug_mode(before)


def test_a_step_in_a_cuda_graph_follows_its_inputs():
    step, controls = step_of()
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(2):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = step()
    with torch.no_grad():
        controls.copy_(1.0 - controls)
    graph.replay()
    for ours, plain in zip(captured, step()):
        assert relative(ours.cpu(), plain.cpu()) < 1e-4


def test_the_loss_of_a_recording_of_twenty_minutes(monkeypatch):
    """More blocks than the second dimension of a grid may have."""
    audio = [torch.randn(1, 1, 34_000_000, device="cuda", generator=torch.Generator("cuda").manual_seed(s)) for s in (0, 1)]
    found = []
    for fused in (True, False):
        monkeypatch.setattr(forms, "uses_triton", lambda tensor, fused=fused: fused)
        output = audio[0].clone().requires_grad_()
        value = MultiResolutionSTFTLoss((32, 2048)).cuda()(output, audio[1])
        found.append((value.item(), torch.autograd.grad(value, output)[0]))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-4)
    assert relative(found[0][1].cpu(), found[1][1].cpu()) < 1e-3


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices")
def test_kernels_run_where_the_tensors_are():
    """The current device is the first one throughout."""
    chain, loss = DifferentiableChain(deepafx_st_chain()), StyleTransferLoss()
    audio, controls = music(2, 1, 20000, RATE), torch.rand(2, chain.num_controls)

    def call(x, c):
        return loss.to(x.device)(chain(x, c, RATE), torch.zeros_like(x))[None]

    first = gradients(call, audio.cuda(0), controls.cuda(0))
    second = gradients(call, audio.cuda(1), controls.cuda(1))
    assert torch.cuda.current_device() == 0
    for a, b in zip(first, second):
        assert relative(b, a) < 1e-6
