"""bfloat16 and compilation change how the network is computed, not what is trained."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch
import yaml

from stylefx.models.checkpoint import load_model
from stylefx.training.loop import trainer as trainer_module
from tests.training.conftest import go, losses, small


def column(run, name):
    return [dict(row)[name] for row in losses(run) if dict(row)["kind"] == "train"]


def test_bf16_runs_the_network_only_and_stays_near_float32(corpus, undisturbed, tmp_path, monkeypatch):
    """Convolutions see bfloat16; what leaves the features, the controls and the audio is float32."""
    seen = set()

    def note(module, inputs, output):
        seen.add((type(module).__name__, output.dtype))

    def make(*args, original=trainer_module.make_model):
        model = original(*args)
        model.encoder.convolutions[0].register_forward_hook(note)
        model.encoder.map.bands.register_forward_hook(note)
        model.strategy.register_forward_hook(note)
        model.controller.register_forward_hook(note)
        return model

    monkeypatch.setattr(trainer_module, "make_model", make)
    go(small(corpus, precision="bf16", steps=3), tmp_path / "run")
    assert ("Conv2d", torch.bfloat16) in seen
    assert {dtype for name, dtype in seen if name != "Conv2d"} == {torch.float32}
    assert column(tmp_path / "run", "loss") == pytest.approx(column(undisturbed, "loss")[:3], rel=0.02)
    assert all(p.dtype == torch.float32 for p in load_model(tmp_path / "run").parameters())


def test_a_machine_without_a_compiler_says_so_in_one_sentence_and_writes_no_checkpoint(corpus, tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(small(corpus, compile=True, steps=2).model_dump(mode="json")))
    command = [sys.executable, "-m", "stylefx.cli", "train", str(config), "--out", str(tmp_path / "run")]
    environment = os.environ | {"CXX": "/nowhere/c++", "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "inductor")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 2
    last = done.stderr.strip().splitlines()[-1]
    assert "compile: true: torch cannot compile" in last
    assert "/nowhere/c++" in last
    assert "leave compile out" in last
    assert "Traceback" not in done.stderr
    assert not list((tmp_path / "run").glob("**/*.pt"))


def test_compilation_gives_the_same_losses_and_the_same_names(corpus, undisturbed, tmp_path, monkeypatch):
    """Through the tracer, without generating code (that needs a compiler and minutes)."""
    compiled, original = [], torch.nn.Module.compile

    def eager(self, options):
        compiled.append(type(self).__name__)
        original(self, backend="eager")

    monkeypatch.setattr(torch.nn.Module, "compile", eager)
    said = go(small(corpus, compile=True, steps=2), tmp_path / "run")
    assert "encoder and controller are compiled in the first step, which takes minutes" in said
    assert compiled == ["TinyEncoder", "Controller"]
    assert column(tmp_path / "run", "loss") == pytest.approx(column(undisturbed, "loss")[:2], rel=1e-5)
    assert set(load_model(tmp_path / "run").state_dict()) == set(load_model(undisturbed).state_dict())
