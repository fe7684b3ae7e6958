"""Models outside of stylefx: what onnxruntime and torch.export.load compute is what ``predict`` says."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from stylefx.cli import cli
from stylefx.errors import ModelError, UserError
from stylefx.models import checkpoint
from stylefx.models.checkpoint import load_model
from stylefx.models.portable import write
from stylefx.models.portable.predictor import Predictor

onnxruntime = pytest.importorskip("onnxruntime")


def call(file: Path, target: str):
    """From a fresh reader of the format."""
    if target == "torch-export":
        return torch.export.load(str(file)).module()
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    names = [i.name for i in session.get_inputs()]
    return lambda *inputs: torch.from_numpy(session.run(None, {n: v.numpy() for n, v in zip(names, inputs, strict=True)})[0])


def off_db(model, audio, reference, intent: str, controls: torch.Tensor) -> torch.Tensor:
    """RMS distance of the equaliser's curve from the wanted one, (batch,); of models without polishing there is no excuse."""
    controller = model.controller
    assert controller.polish, "the controls are others than those that predict says"
    e_input, e_reference = model.embed(torch.cat([audio, reference]), model.sample_rate).chunk(2)
    place = torch.full((len(controls),), model.intents.index(intent))
    made = controller.response.exact(controls[:, controller.equaliser].double())
    missing = controller.wanted(e_input, e_reference, place).curve_db - (made - made.mean(-1, keepdim=True))
    return missing.square().mean(-1).sqrt()


@torch.no_grad()
def check(name: str, file: Path, target: str) -> None:
    """Batches of 1 and 4, every intent, windows that the file was not made with."""
    model, run = load_model(name), call(file, target)
    samples = Predictor(model, int(checkpoint.read_card(name)["segment_samples"])).window_samples
    decay = torch.exp(-torch.arange(samples) / 4e4)
    for batch in (1, 4):
        noise = torch.randn(2, batch, 1, samples, generator=torch.Generator().manual_seed(batch))
        audio, reference = 0.05 * noise[0], 0.2 * decay * (noise[1] + noise[1].roll(1, -1))  # white and steady; dark and dying
        for intent in model.intents or (None,):
            places = () if intent is None else (torch.full((batch,), model.intents.index(intent)),)
            want = model.predict(audio, reference, intent=intent)
            found = run(audio, reference, *places)
            same = (found - want).abs().amax(1) < 2e-3
            if not same.all():  # polishing may end at other bands that make the curve as well
                apart = [off_db(model, audio, reference, intent, controls)[~same] for controls in (want, found)]
                torch.testing.assert_close(*apart, atol=0.05, rtol=0)
            assert batch == 1 or want.std(0).max() > 1e-4  # the items are not alike


PROVE = pytest.mark.skipif(not int(os.environ.get("STYLEFX_PROOF", "0")), reason="takes minutes; STYLEFX_PROOF=1 runs it")


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("target", ["onnx", "torch-export"])
@pytest.mark.parametrize("name", ["tiny", pytest.param("studio", marks=PROVE), pytest.param("paper", marks=PROVE)])
def test_a_model_comes_out_as_it_predicts(name, target, tmp_path):
    out = tmp_path / "m"
    result = CliRunner().invoke(cli, ["export-model", name, "--to", target, "-o", str(out), "--json"])
    assert result.exit_code == 0, result.output
    said = json.loads(result.output)
    assert said["difference"] < 2e-3
    assert [c["name"] for c in said["controls"]] == [p.name for p in load_model(name).chain.parameters]
    check(name, out, target)


def test_a_model_that_cannot_be_followed_is_a_sentence(tmp_path, monkeypatch):
    model = load_model("tiny")

    def stubborn(audio, rate):
        return model.encoder.norm(torch.zeros(len(audio), 256) + float(audio.sum()))

    monkeypatch.setattr(model.encoder, "forward", stubborn)
    monkeypatch.setattr(write, "load_model", lambda path: model)
    with pytest.raises(ModelError, match="cannot be exported to torch-export: its encoder 'tiny'") as caught:
        write.write_portable("tiny", "torch-export", tmp_path / "m.pt2")
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_what_differs_from_the_model_is_not_written(tmp_path, monkeypatch):
    monkeypatch.setattr(write, "_written", lambda predictor, *_: lambda *inputs: predictor(*inputs) + 0.01)
    with pytest.raises(ModelError, match=r"tiny as torch-export differs from the model by 0\.01"):
        write.write_portable("tiny", "torch-export", tmp_path / "m.pt2")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_exists_is_kept(tmp_path):
    (tmp_path / "m.onnx").write_text("mine")
    with pytest.raises(UserError, match="--overwrite"):
        write.write_portable("tiny", "onnx", tmp_path / "m.onnx")
    assert (tmp_path / "m.onnx").read_text() == "mine"
