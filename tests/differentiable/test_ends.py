"""Gradients at the neutral settings and at the ends of every range equal one-sided differences of independent references.

The Triton kernels' form is in ``triton_cases``.
"""

from __future__ import annotations

import pytest
import torch

from stylefx.differentiable import DifferentiableChain
from stylefx.effects.chain import EffectChain
from stylefx.effects.registry import make_effect
from tests.support.effect_cases import VARIANT_IDS, VARIANTS
from tests.support.ends import disagreements, force_form

every_variant = pytest.mark.parametrize(("name", "config"), VARIANTS, ids=VARIANT_IDS)


@every_variant
@pytest.mark.parametrize("form", ["compiled", "scan"])
def test_gradients_at_the_ends_and_at_the_defaults_are_one_sided_differences(name, config, form, monkeypatch):
    force_form(monkeypatch, form)
    assert disagreements(make_effect(name, **config), 24000.0) == []


@pytest.mark.parametrize(
    ("name", "config"),
    [("parametric_eq", {"ranges": "full-band"}), ("saturation", {}), ("multiband_compressor", {"num_bands": 4})],
)
def test_gradients_of_bands_that_a_low_rate_cannot_hold(name, config):
    assert disagreements(make_effect(name, **config), 8000.0, samples=300) == []


@pytest.mark.parametrize("gain_db", [0.0, 6.0])
def test_critically_damped_bands_have_a_gradient_at_low_rates(gain_db):
    """Two equal roots: the derivative of each is infinite, that of the band is not."""
    audio = 0.2 * torch.randn(1, 1, 300, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    amplitude = 10 ** (gain_db / 40)
    for kind, critical in (("peak", 0.5 * amplitude), ("peak", 0.5 / amplitude), ("low_shelf", 0.5), ("high_shelf", 0.5)):
        chain = DifferentiableChain(EffectChain.of(make_effect("parametric_eq", bands=[{"name": "b", "kind": kind}])))

        def response(q: torch.Tensor, gain: torch.Tensor, chain=chain) -> torch.Tensor:
            settings = {"b_q": q, "b_gain_db": gain, "b_cutoff_hz": torch.tensor([5000.0])}
            return (chain.render(audio, [settings], 8000.0) * audio.flip(-1)).sum()

        leaves = [torch.tensor([v], dtype=torch.float64, requires_grad=True) for v in (critical, gain_db)]
        for i, ours in enumerate(torch.autograd.grad(response(*leaves), leaves)):
            h = torch.eye(2, dtype=torch.float64)[i] * 1e-4
            ahead, behind = ([v.detach() + s * h[k] for k, v in enumerate(leaves)] for s in (1.0, -1.0))
            difference = (response(*ahead) - response(*behind)).item() / 2e-4
            assert ours.item() == pytest.approx(difference, rel=1e-3, abs=1e-5), (kind, critical, i)


@pytest.mark.parametrize("name", ["compressor", "expander"])
@pytest.mark.parametrize("times", [(0.1, 1000.0), (1.0, 300.0), (10.0, 100.0), (50.0, 50.0), (100.0, 5.0)])
def test_a_neutral_dynamics_knows_which_way_its_ratio_goes(name, times):
    """Towards a compressed target the gradient at ratio 1 is that at ratio 1.001, whatever the times."""
    chain = DifferentiableChain(EffectChain.of(make_effect(name)))
    generator = torch.Generator().manual_seed(0)
    audio = 0.2 * torch.randn(1, 1, 4000, generator=generator, dtype=torch.float64)
    settings = {"attack_ms": times[0], "release_ms": times[1], "threshold_db": -20.0}
    target = chain.render(audio, [settings | {"ratio": torch.tensor([3.0])}], 24000.0)
    found = []
    for ratio in (1.0, 1.0001):
        leaf = torch.tensor([ratio], dtype=torch.float64, requires_grad=True)
        loss = (chain.render(audio, [settings | {"ratio": leaf}], 24000.0) - target).square().sum()
        found.append(torch.autograd.grad(loss, leaf)[0].item())
    assert found[0] < 0.0
    assert found[0] == pytest.approx(found[1], rel=1e-3)


def test_neutral_dynamics_still_leave_every_bit_as_it_was():
    audio = 0.2 * torch.randn(2, 2, 20000, generator=torch.Generator().manual_seed(0))
    for name in ("compressor", "expander"):
        out = DifferentiableChain(EffectChain.of(make_effect(name))).render(audio, [{"threshold_db": -30.0}], 24000.0)
        assert torch.equal(out, audio)


def test_graphic_eq_bands_that_a_rate_cannot_hold_have_gradient_zero():
    effect = make_effect("graphic_eq")
    settings = {p.name: torch.zeros(1, dtype=torch.float64, requires_grad=True) for p in effect.parameters}
    audio = 0.2 * torch.randn(1, 1, 500, generator=torch.Generator().manual_seed(0))
    out = DifferentiableChain(EffectChain.of(effect)).render(audio, [settings], 8000.0)
    gradients = dict(zip(settings, torch.autograd.grad(out.square().sum(), list(settings.values()))))
    assert [n for n, g in gradients.items() if g.item() == 0.0] == ["gain_4000hz_db", "gain_8000hz_db", "gain_16000hz_db"]
