"""Constants that are first needed where nothing is trained serve those who train later."""

from __future__ import annotations

import pytest
import torch

from stylefx.differentiable import DifferentiableChain
from stylefx.effects.chain import EffectChain
from stylefx.effects.registry import effect_names, make_effect
from stylefx.models import features
from stylefx.models.registry import make_encoder


def test_an_encoder_used_in_inference_mode_has_gradients(monkeypatch):
    monkeypatch.setattr(features, "_places", {})
    encoder, audio = make_encoder("base"), 0.1 * torch.randn(1, 1, 24000)
    with torch.inference_mode():
        encoder(audio, 24000.0)
    audio.requires_grad_()
    encoder(audio, 24000.0)[:, 0].sum().backward()
    assert audio.grad.abs().sum() > 0


@pytest.mark.parametrize("name", effect_names())
def test_a_chain_used_in_inference_mode_has_gradients(name):
    chain = DifferentiableChain(EffectChain.of(make_effect(name)))
    audio, controls = 0.1 * torch.randn(1, 2, 3001), torch.full((1, chain.num_controls), 0.45)
    with torch.inference_mode():
        chain(audio, controls, 24001)  # a rate of this test's own: nothing of it is remembered yet
    controls.requires_grad_()
    chain(audio, controls, 24001).square().sum().backward()
    assert controls.grad.isfinite().all()
