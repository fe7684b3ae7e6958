"""The chain in torch: the same sound as ``EffectChain``, the same controls, and good manners."""

import numpy as np
import pytest
import torch

from stylefx.differentiable import DifferentiableChain
from stylefx.differentiable.losses import StyleTransferLoss
from stylefx.effects.chain import EffectChain, Slot
from stylefx.effects.palette.compressor import Compressor
from stylefx.effects.palette.expander import Expander
from stylefx.effects.palette.parametric_eq import ParametricEq
from stylefx.effects.presets import deepafx_st_chain
from stylefx.errors import UserError
from tests.support.twin_references import music, relative, worst_item

CHAIN = EffectChain.of(ParametricEq(), Expander(), Compressor())


def controls(items: int, chain=CHAIN, seed: int = 0) -> torch.Tensor:
    return torch.rand(items, chain.num_controls, generator=torch.Generator().manual_seed(seed))


def numpy_render(chain, audio, controls_, rate):
    return np.stack([chain.render(a.numpy(), chain.settings(c.numpy()), rate) for a, c in zip(audio, controls_)])


@pytest.mark.parametrize("method", ["auto", "recursive", "frequency"])
@pytest.mark.parametrize(("rate", "channels"), [(24000, 1), (44100, 2), (96000, 2)])
def test_sounds_like_the_numpy_chain(method, rate, channels):
    audio, c = music(4, channels, 20001, rate), controls(4)
    ours = DifferentiableChain(CHAIN, method)(audio, c, rate)
    assert ours.dtype == torch.float32
    assert worst_item(ours, numpy_render(CHAIN, audio, c, rate)) < (1e-4 if method == "frequency" else 2e-6)


def test_settings_equal_those_of_the_numpy_chain():
    c = controls(3)
    ours = DifferentiableChain(CHAIN).settings(c)
    for item in range(3):
        for mine, theirs in zip(ours, CHAIN.settings(c[item].numpy()), strict=True):
            assert list(mine) == list(theirs["settings"])
            assert {k: v[item].item() for k, v in mine.items()} == pytest.approx(theirs["settings"], rel=1e-12)


def test_render_takes_settings_as_tensors_and_as_written_down():
    audio, c = music(1, 2, 8000, 44100), controls(1)
    chain = DifferentiableChain(CHAIN)
    from_controls = chain(audio, c, 44100)
    assert torch.allclose(chain.render(audio, chain.settings(c), 44100), from_controls, atol=1e-7)
    assert torch.allclose(chain.render(audio, CHAIN.settings(c[0].numpy()), 44100), from_controls, atol=1e-6)


@pytest.mark.parametrize("method", ["recursive", "frequency"])
def test_values_outside_the_ranges_are_rendered(method):
    audio = music(1, 1, 9000, 44100)
    settings = [{"effect": "parametric_eq", "settings": {"low_shelf_cutoff_hz": 12.0, "band1_q": 14.0, "band1_gain_db": 30.0}}]
    chain = EffectChain.of(ParametricEq())
    ours = DifferentiableChain(chain, method).render(audio, settings, 44100)
    assert relative(ours[0], chain.render(audio[0].numpy(), settings, 44100)) < 1e-5


@pytest.mark.parametrize(("mix", "bypass"), [(0.3, False), (0.0, False), (1.0, True)])
def test_mix_and_bypass_apply(mix, bypass):
    chain = EffectChain((Slot(ParametricEq(), mix=mix), Slot(Compressor(), bypass=bypass)))
    audio, c = music(2, 1, 8000, 24000), controls(2, chain)
    assert worst_item(DifferentiableChain(chain)(audio, c, 24000), numpy_render(chain, audio, c, 24000)) < 2e-6


def test_nothing_is_written_into_audio_or_predicted_controls():
    audio, c = music(2, 1, 4000, 24000).requires_grad_(), controls(2).requires_grad_()
    before = audio.detach().clone(), c.detach().clone()
    chain = DifferentiableChain(CHAIN)
    settings = chain.settings(c)
    kept = [{k: v.detach().clone() for k, v in s.items()} for s in settings]
    chain.render(audio, settings, 24000).square().sum().backward()
    assert torch.equal(audio.detach(), before[0])
    assert torch.equal(c.detach(), before[1])
    assert audio._version == 0
    assert c._version == 0
    assert all(torch.equal(s[k], v) for s, old in zip(settings, kept) for k, v in old.items())


def test_nothing_is_trainable_or_saved():
    chain = DifferentiableChain(CHAIN)
    assert list(chain.parameters()) == []
    assert chain.state_dict() == {}


@pytest.mark.parametrize("method", ["recursive", "frequency"])
@pytest.mark.parametrize("signal", ["silence", "dc", "full scale", "denormals", "one sample", "burst then silence"])
def test_degenerate_signals_give_finite_outputs_and_gradients(method, signal):
    audio = {
        "silence": torch.zeros(2, 2, 5000),
        "dc": torch.ones(2, 2, 5000),
        "full scale": torch.tensor([1.0, -1.0]).repeat(2, 2, 2500),
        "denormals": torch.full((2, 2, 5000), 1e-42),
        "one sample": torch.full((2, 2, 1), 0.5),
        "burst then silence": torch.cat([torch.ones(2, 2, 100), torch.zeros(2, 2, 200000)], -1),
    }[signal].requires_grad_()
    c = controls(2).requires_grad_()
    out = DifferentiableChain(CHAIN, method)(audio, c, 24000)
    out.sum().backward()
    assert torch.isfinite(out).all()
    assert torch.isfinite(audio.grad).all()
    assert torch.isfinite(c.grad).all()


def test_threads_and_batches_change_nothing():
    audio, c = music(5, 2, 3000, 24000), controls(5)
    results = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        a, k = audio.clone().requires_grad_(), c.clone().requires_grad_()
        out = DifferentiableChain(CHAIN)(a, k, 24000)
        results.append((out, *torch.autograd.grad(out.square().sum(), [a, k])))
    for other in results[1:]:
        assert all(torch.equal(x, y) for x, y in zip(results[0], other))
    assert torch.allclose(DifferentiableChain(CHAIN)(audio[2:3], c[2:3], 24000), results[0][0][2:3], atol=1e-7)


def test_non_contiguous_audio_and_broadcast_gradients():
    wide = music(2, 2, 6000, 24000)
    audio, c = wide[..., ::2].requires_grad_(), controls(2).requires_grad_()
    out = DifferentiableChain(CHAIN)(audio, c, 24000)
    assert torch.equal(out, DifferentiableChain(CHAIN)(audio.contiguous(), c, 24000))
    out.sum().backward()  # its gradient is one expanded number
    assert torch.isfinite(c.grad).all()


@pytest.mark.parametrize("method", ["recursive", "frequency"])
def test_compiles_into_one_graph(method):
    """No graph break; the graph's own derivative equals that of the eager call."""
    chain = DifferentiableChain(CHAIN, method)
    audio, c = music(2, 1, 3000, 24000), controls(2)
    compiled = torch.compile(chain, backend="aot_eager", fullgraph=True)
    results = []
    for f in (chain, compiled):
        a, k = audio.clone().requires_grad_(), c.clone().requires_grad_()
        out = f(a, k, 24000)
        results.append((out, *torch.autograd.grad(out.square().sum(), [a, k])))
    for eager, traced in zip(*results):
        assert relative(traced, eager) < 1e-4


def test_autocast_does_not_touch_the_precision():
    audio, c = music(2, 1, 3000, 24000), controls(2)
    chain = DifferentiableChain(CHAIN)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = chain(audio, c, 24000)
        half = chain(audio.bfloat16(), c.bfloat16(), 24000)
    assert torch.equal(out, chain(audio, c, 24000))
    assert half.dtype == torch.float32


@pytest.mark.parametrize("method", ["recursive", "frequency"])
def test_chain_and_loss_compile_into_one_graph_under_autocast(method):
    """Value and gradients are those of the plain step, to rounding: nothing is computed in half precision."""
    chain = DifferentiableChain(EffectChain.of(ParametricEq(bands=[{"kind": "peak"}]), Compressor()), method)
    loss, target = StyleTransferLoss(fft_sizes=(32, 512)), music(2, 1, 3000, 24000, seed=8)
    # Never silent: where both signals are, the logarithm's slope has no bound, and rounding decides.
    audio = music(2, 1, 3000, 24000) + 0.01 * torch.randn(2, 1, 3000, generator=torch.Generator().manual_seed(0))

    def step(audio, c):
        return loss(chain(audio, c, 24000), target)

    results = []
    for function, autocast in ((step, False), (torch.compile(step, backend="aot_eager", fullgraph=True), True)):
        a, c = audio.clone().requires_grad_(), controls(2, chain.chain).requires_grad_()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
            value = function(a, c)
        results.append((value, *torch.autograd.grad(value, [a, c])))
    assert relative(results[1][0], results[0][0]) < 1e-5
    # A bin of two equal magnitudes may take the other sign.
    assert all(relative(traced, plain) < 1e-2 for traced, plain in zip(results[1][1:], results[0][1:]))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda chain: chain(torch.zeros(1, 10), controls(1), 24000), "items, channels, samples"),
        (lambda chain: chain(torch.zeros(1, 1, 10), torch.zeros(1, 3), 24000), "32 controls|31 controls"),
        (lambda chain: chain(torch.full((1, 1, 10), float("nan")), controls(1), 24000), "NaN"),
        (lambda chain: chain.render(torch.zeros(1, 1, 10), [{}], 24000), "3 effects"),
        (lambda chain: chain.render(torch.zeros(1, 1, 10), [{"gain": 1.0}, {}, {}], 24000), "no parameter 'gain'"),
        (lambda chain: chain.render(torch.zeros(2, 1, 10), [{}, {"ratio": torch.ones(3)}, {}], 24000), "ratio has the shape"),
        (lambda chain: DifferentiableChain(CHAIN, "magic"), "method 'magic'"),
    ],
)
def test_mistakes_are_refused_with_a_sentence(call, message):
    with pytest.raises(UserError, match=message):
        call(DifferentiableChain(CHAIN))


def test_the_preset_has_24_controls():
    assert DifferentiableChain(deepafx_st_chain()).num_controls == 24
