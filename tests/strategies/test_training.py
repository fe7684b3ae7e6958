"""Every strategy trains for real, and travels in checkpoints."""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile
import torch
from click.testing import CliRunner

from stylefx.cli import cli
from stylefx.differentiable.losses import MultiResolutionSTFTLoss
from stylefx.effects.chain import EffectChain
from stylefx.effects.presets import deepafx_st_chain
from stylefx.effects.registry import make_effect
from stylefx.experiments.proxy_training import ProxyTraining, train_proxy
from stylefx.experiments.recordings import load_recordings
from stylefx.models.checkpoint import load_model, save_model
from stylefx.models.style_transfer import build_model
from stylefx.strategies.proxy import load_proxy, save_proxy

RATE = 24000.0
FRAMES = 8192


def music(seed: int, seconds: float = 3.0) -> np.ndarray:
    """Chords with decaying strikes and noise, float32 (samples,)."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(seconds * RATE)) / RATE
    audio = 0.003 * rng.standard_normal(len(t))
    for start in np.arange(0, seconds, 0.25):
        chord = 110 * 2 ** (rng.integers(0, 36, 3) / 12)
        envelope = np.where(t >= start, np.exp(-6 * np.maximum(t - start, 0)), 0)
        audio += 0.08 * envelope * sum(np.sin(2 * np.pi * f * t) + 0.4 * np.sin(4 * np.pi * f * t) for f in chord)
    return audio.astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("recordings")
    for i in range(4):
        soundfile.write(path / f"{i}.wav", music(i), int(RATE))
    return path


COMPRESSOR = EffectChain.of(make_effect("compressor"))


@pytest.fixture(scope="module")
def proxies(folder, tmp_path_factory):
    """A proxy of the compressor, trained for a moment: closer to it than the unprocessed input, which is where it starts."""
    training = ProxyTraining(RATE, steps=100, batch=4, frames=2048, learning_rate=5e-3)
    data = load_recordings(folder, RATE, training.frames, max_minutes=60.0)
    proxy, record = train_proxy(COMPRESSOR, data, training, {"blocks": 2, "width": 12, "kernel": 7})
    error = record["held_out"]
    assert error["mr_stft"] < 0.9 * error["input_mr_stft"], error
    path = tmp_path_factory.mktemp("proxies") / "compressor"
    save_proxy(proxy, path, record)
    return [str(path)]


def batch(chain):
    """Clean cuts and the same with one production, so that there is something to learn."""
    settings = chain.settings(chain.default_controls)
    settings[-1]["settings"] |= {"threshold_db": -40.0, "ratio": 5.0, "makeup_gain_db": 10.0}
    if len(settings) == 2:
        settings[0]["settings"] |= {"low_shelf_gain_db": 9.0, "band2_gain_db": -8.0, "high_shelf_gain_db": 10.0}
    audio = np.stack([music(i)[None, :FRAMES] for i in range(3)])
    target = np.stack([chain.render(a, settings, RATE) for a in audio])
    return torch.from_numpy(audio), torch.from_numpy(target)


STRATEGIES = {
    "ad": ({"method": "recursive"}, 3e-4),
    "ad-frequency": ({"method": "frequency"}, 3e-4),
    "spsa": ({"directions": 4, "epsilon": 2e-3}, 1e-4),
    "np": ({}, 3e-4),
    "np-hh": ({}, 3e-4),
    "np-fh": ({}, 3e-4),
    "ctcn1": ({"network": {"blocks": 2, "width": 12, "kernel": 7}}, 3e-3),
    "ctcn2": ({"network": {"blocks": 2, "width": 8, "kernel": 7}}, 3e-3),
}


@pytest.mark.parametrize("case", STRATEGIES)
def test_a_model_learns_by_this_strategy_and_comes_back_from_a_checkpoint(case, proxies, tmp_path):
    options, learning_rate = STRATEGIES[case]
    name = "ad" if case.startswith("ad") else case
    if name.startswith("np"):
        options = {**options, "proxies": proxies}
    torch.manual_seed(0)
    chain = COMPRESSOR if name.startswith("np") else deepafx_st_chain()
    config = {"encoder": {"name": "tiny"}, "chain": chain.to_dict(), "sample_rate": RATE}
    model = build_model({**config, "strategy": {"name": name, **options}})
    audio, target = batch(chain)
    distance = MultiResolutionSTFTLoss(fft_sizes=(128, 1024))
    trained = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.Adam(trained, lr=learning_rate)
    losses = []
    for _ in range(12):
        output, _ = model(audio, target.roll(1, 0))
        loss = distance(output, target) + 10 * (output - target).abs().mean()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 4.0)
        optimiser.step()
        losses.append(loss.item())
    assert np.mean(losses[-3:]) < 0.95 * losses[0], losses

    save_model(model.eval(), tmp_path / "model")
    again = load_model(tmp_path / "model.safetensors").eval()
    assert again.strategy.name == name
    with torch.no_grad():
        assert torch.equal(model(audio, target)[0], again(audio, target)[0])


def test_train_proxy_is_a_command_for_any_effect(folder, tmp_path):
    arguments = ["train-proxy", "saturation", str(folder), "-o", str(tmp_path / "s"), "--steps", "6", "--batch", "2"]
    arguments += ["--frames", "2048", "--width", "4", "--sample-rate", "12000", "--device", "cpu"]
    result = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    assert "dB relative error" in result.output
    proxy = load_proxy(tmp_path / "s")
    assert proxy.sample_rate == 12000
    assert proxy.chain.to_dict() == EffectChain.of(make_effect("saturation")).to_dict()
    record = json.loads((tmp_path / "s.json").read_text())["training"]
    assert record["held_out"]["items"] > 0
    assert record["configuration"]["steps"] == 6
