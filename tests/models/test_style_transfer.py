"""The model starts by changing nothing, and a saved model is the same model; damage and strangers are refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from stylefx.errors import UserError
from stylefx.models.checkpoint import load_model, save_model
from stylefx.models.style_transfer import build_model
from stylefx.training.config import resolve_chain

torch.set_num_threads(1)


def make(**encoder):
    chain = resolve_chain("deepafx-st")
    config = {"chain": chain.to_dict(), "sample_rate": 24000, "encoder": {"name": "tiny", **encoder}, "strategy": {"name": "ad"}}
    torch.manual_seed(0)
    return build_model(config)


def speech(batch=2, samples=24000):
    t = torch.arange(samples) / 24000
    return (0.1 * torch.sin(2 * torch.pi * 200 * t) * (t * 3 % 1) + 0.01 * torch.randn(samples)).expand(batch, 1, samples).clone()


def test_an_untrained_model_hardly_changes_the_input():
    model, x = make(), speech()
    with torch.no_grad():
        output, controls = model(x, torch.randn_like(x) * 0.1)
    assert controls.shape == (2, 24)
    assert np.abs(controls.numpy() - model.chain.default_controls).max() < 0.06
    change_db = 20 * torch.log10((output - x).norm() / x.norm())
    assert change_db < -15


def test_gradients_reach_every_weight():
    model, x = make(), speech()
    output, _ = model(x, x.flip(-1))
    output.square().mean().backward()
    missing = [n for n, p in model.named_parameters() if p.grad is None or not torch.isfinite(p.grad).all()]
    assert missing == []
    assert all(p.grad.abs().max() > 0 for n, p in model.named_parameters() if "encoder" in n and n.endswith("weight"))


def test_references_of_another_length_are_welcome():
    model = make()
    with torch.no_grad():
        assert model.predict(speech(), speech(samples=40000)).shape == (2, 24)
        assert model.embed(speech(), 48000).shape == (2, 256)


def test_a_saved_model_is_the_same_model(tmp_path):
    model, x = make(width=16), speech()
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.01 * torch.randn_like(p))
    save_model(model, tmp_path / "m")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.json", "m.safetensors"]
    for path in ("m", "m.safetensors", "m.json"):
        again = load_model(tmp_path / path)
        assert again.chain == model.chain or again.chain.to_dict() == model.chain.to_dict()
        assert again.sample_rate == 24000
        with torch.no_grad():
            assert torch.equal(again(x, x)[0], model.eval()(x, x)[0])


def test_a_run_folder_gives_its_best_checkpoint_else_its_last(tmp_path):
    for name, value in (("step-1", 0.1), ("step-2", 0.2)):
        model = make(width=8)
        with torch.no_grad():
            model.controller.last.bias.fill_(value)
        save_model(model, tmp_path / "checkpoints" / name / "model")
    (tmp_path / "checkpoints/last.json").write_text(json.dumps({"checkpoint": "step-2"}))
    assert float(load_model(tmp_path).controller.last.bias.detach()[0]) == pytest.approx(0.2)
    (tmp_path / "checkpoints/best.json").write_text(json.dumps({"checkpoint": "step-1"}))
    assert float(load_model(tmp_path).controller.last.bias.detach()[0]) == pytest.approx(0.1)


@pytest.mark.parametrize(("harm", "message"), [
    (lambda d: (d / "m.safetensors").write_bytes((d / "m.safetensors").read_bytes()[:-8]), "damaged"),
    (lambda d: (d / "m.safetensors").unlink(), "m.safetensors is missing"),
    (lambda d: (d / "m.json").write_text("{"), "not JSON"),
    (lambda d: (d / "m.json").write_text(json.dumps(json.loads((d / "m.json").read_text()) | {"version": 7})), "version 1"),
    (lambda d: (d / "m.json").write_text(json.dumps(json.loads((d / "m.json").read_text()) | {"encoder": {"name": "huge"}})),
     "no encoder 'huge'"),
    (lambda d: (d / "m.json").write_text(json.dumps(
        json.loads((d / "m.json").read_text()) | {"encoder": {"name": "tiny", "width": 8}})), "does not fit"),
])  # fmt: skip
def test_damaged_and_foreign_models_are_refused_in_a_sentence(tmp_path, harm, message):
    save_model(make(width=16), tmp_path / "m")
    harm(tmp_path)
    with pytest.raises(UserError, match=message):
        load_model(tmp_path / "m")


def test_an_empty_folder_is_no_run(tmp_path):
    with pytest.raises(UserError, match="holds no checkpoint"):
        load_model(tmp_path)
