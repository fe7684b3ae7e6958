"""Proxies and hybrids: what renders forward, where the gradient goes, what is refused."""

import json
import os

import numpy as np
import pytest
import torch

from stylefx.effects.chain import EffectChain
from stylefx.effects.presets import deepafx_st_chain
from stylefx.effects.registry import make_effect
from stylefx.errors import UserError
from stylefx.strategies import make_strategy
from stylefx.strategies.proxy import Proxy, load_proxy, save_proxy
from stylefx.strategies.tcn import ConditionalTcn

RATE = 24000.0
SMALL = {"blocks": 2, "kernel": 5, "growth": 4, "width": 8}


def small_proxy(chain, seed=0):
    torch.manual_seed(seed)
    return Proxy(chain, RATE, SMALL).requires_grad_(False).eval()


@pytest.fixture
def chain():
    return deepafx_st_chain()


@pytest.fixture
def proxies(chain):
    return [small_proxy(EffectChain((slot,)), i) for i, slot in enumerate(chain.slots)]


@pytest.fixture
def batch(chain):
    rng = np.random.default_rng(1)
    audio = torch.from_numpy((0.2 * rng.standard_normal((2, 1, 3000))).astype(np.float32))
    controls = torch.from_numpy(rng.uniform(0.2, 0.8, (2, chain.num_controls)))
    return audio, controls.float()


def real_render(chain, audio, controls):
    return torch.stack(
        [
            torch.from_numpy(chain.render(a.numpy(), chain.settings(c.detach().double().numpy()), RATE))
            for a, c in zip(audio, controls, strict=True)
        ]
    )


def test_full_hybrid_renders_the_dsp_and_differentiates_the_proxy(chain, proxies, batch):
    """The released code's FH trains as NP because an enum test is always true; this fails on that."""
    audio, controls = batch
    strategy = make_strategy("np-fh", chain, RATE, proxies=proxies).train()
    controls.requires_grad_()
    upstream = torch.randn(audio.shape, generator=torch.Generator().manual_seed(2))
    output = strategy(audio, controls, RATE)
    assert torch.equal(output.detach(), real_render(chain, audio, controls))
    (output * upstream).sum().backward()

    twin = controls.detach().clone().requires_grad_()
    x = proxies[1](proxies[0](audio, twin[:, :18]), twin[:, 18:])
    (x * upstream).sum().backward()
    torch.testing.assert_close(controls.grad, twin.grad)
    assert controls.grad.abs().sum() > 0


def test_half_hybrid_uses_the_proxy_in_training_and_the_dsp_at_inference(chain, proxies, batch):
    audio, controls = batch
    half = make_strategy("np-hh", chain, RATE, proxies=proxies)
    plain = make_strategy("np", chain, RATE, proxies=proxies)
    with torch.no_grad():
        assert torch.equal(half.train()(audio, controls, RATE), plain.train()(audio, controls, RATE))
        assert torch.equal(half.eval()(audio, controls, RATE), real_render(chain, audio, controls))
        assert not torch.allclose(half(audio, controls, RATE), plain.eval()(audio, controls, RATE), atol=1e-3)
    assert half.renders_settings
    assert not plain.renders_settings


@pytest.mark.parametrize("name", ["np", "np-hh", "np-fh"])
def test_the_prediction_is_not_written_into(name, chain, proxies, batch):
    audio, controls = batch
    before = controls.clone()
    for mode in (True, False):
        make_strategy(name, chain, RATE, proxies=proxies).train(mode)(audio, controls, RATE)
    assert torch.equal(controls, before)


def test_makeup_gain_is_analytic(chain, proxies, batch):
    audio, controls = batch
    compressor = proxies[1]
    controls = controls[:, 18:].clone()
    quiet, loud = controls.clone(), controls.clone()
    quiet[:, -1], loud[:, -1] = 0.5, 0.5 + 6.0 / 96.0
    torch.testing.assert_close(compressor(audio, loud), compressor(audio, quiet) * 10 ** (6 / 20), rtol=1e-5, atol=1e-6)


def test_proxies_are_frozen_and_travel_in_the_state(chain, proxies, batch):
    audio, controls = batch
    strategy = make_strategy("np", chain, RATE, proxies=proxies)
    assert not any(p.requires_grad for p in strategy.parameters())
    rebuilt = make_strategy("np", chain, RATE, **json.loads(json.dumps(strategy.options())))
    rebuilt.load_state_dict(strategy.state_dict())
    assert torch.equal(rebuilt(audio, controls, RATE), strategy(audio, controls, RATE))


def test_a_saved_proxy_comes_back_and_damage_is_refused(chain, proxies, batch, tmp_path):
    audio, controls = batch
    save_proxy(proxies[0], tmp_path / "eq.safetensors", {"note": 1})
    loaded = load_proxy(tmp_path / "eq")
    assert torch.equal(loaded(audio, controls[:, :18]), proxies[0](audio, controls[:, :18]))
    data = bytearray((tmp_path / "eq.safetensors").read_bytes())
    data[-1] ^= 1
    (tmp_path / "eq.safetensors").write_bytes(bytes(data))
    with pytest.raises(UserError, match="sha256"):
        load_proxy(tmp_path / "eq")
    with pytest.raises(UserError, match="not a proxy"):
        load_proxy(tmp_path / "missing")


def test_another_range_rate_or_effect_is_refused(chain, proxies):
    with pytest.raises(UserError, match="imitates"):
        make_strategy("np", deepafx_st_chain("full-band"), RATE, proxies=proxies)
    with pytest.raises(UserError, match="24000 Hz"):
        make_strategy("np", chain, 44100.0, proxies=proxies)
    with pytest.raises(UserError, match="imitates"):
        make_strategy("np", chain, RATE, proxies=proxies[::-1])
    strategy = make_strategy("np", chain, RATE, proxies=proxies)
    with pytest.raises(UserError, match="24000 Hz"):
        strategy(torch.zeros(1, 1, 100), torch.full((1, 24), 0.5), 48000.0)
    single = small_proxy(EffectChain.of(make_effect("compressor")))
    with pytest.raises(UserError, match="one for all"):
        make_strategy("np", EffectChain(chain.slots * 2), RATE, proxies=[single] * 3)


def test_the_network_is_causal_with_the_published_receptive_field():
    network = ConditionalTcn(6).double().eval()
    assert network.receptive_field == 7021
    small = ConditionalTcn(2, **SMALL).double().eval()
    audio = torch.randn(1, 1, 400, dtype=torch.float64, requires_grad=True)
    small(audio, torch.full((1, 2), 0.5, dtype=torch.float64))[0, 0, 200].backward()
    touched = torch.nonzero(audio.grad[0, 0]).flatten()
    assert touched.max() == 200
    assert touched.min() == 200 - small.receptive_field + 1


@pytest.mark.parametrize(("name", "networks"), [("ctcn1", 1), ("ctcn2", 2)])
def test_end_to_end_networks_learn(name, networks, chain, batch):
    """cTCNs have their own weights; the loss to a rendered target falls."""
    audio, controls = batch
    torch.manual_seed(0)
    strategy = make_strategy(name, chain, RATE, network=SMALL)
    assert len(strategy.tcns) == networks
    target = real_render(chain, audio, controls)
    optimiser = torch.optim.Adam(strategy.parameters(), 1e-2)
    losses = []
    for _ in range(25):
        loss = (strategy(audio, controls, RATE) - target).abs().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]


def test_a_kill_between_the_two_files_of_a_proxy_leaves_no_new_weights_beside_an_old_card(tmp_path, monkeypatch):
    path = tmp_path / "p.safetensors"
    chain = EffectChain.of(make_effect("compressor"))
    save_proxy(Proxy(chain, RATE, SMALL), path, {"which": "old"})
    old = path.read_bytes()
    replace, renamed = os.replace, []

    def killed_before_the_second(source, target):
        if renamed:
            raise KeyboardInterrupt
        renamed.append(target)
        replace(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", killed_before_the_second)
        with pytest.raises(KeyboardInterrupt):
            save_proxy(Proxy(chain, RATE, SMALL | {"blocks": 3}), path, {"which": "new"})
    assert path.read_bytes() != old
    assert [p.name for p in tmp_path.iterdir()] == ["p.safetensors"]
    with pytest.raises(UserError, match="not a proxy"):
        load_proxy(path)
    save_proxy(Proxy(chain, RATE, SMALL | {"blocks": 3}), path, {"which": "new"})
    assert load_proxy(path).tcn.shape["blocks"] == 3
