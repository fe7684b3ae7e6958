"""A step of a whole model on a device never waits for the host, and can be recorded as a CUDA graph."""

from contextlib import nullcontext

import pytest
import torch

from stylefx.differentiable.losses import StyleTransferLoss
from stylefx.models.style_transfer import build_model
from stylefx.training.config import resolve_chain
from tests.differentiable.operators.test_no_waiting import NoReads, cuda_path  # noqa: F401 (a fixture)

SOLVER = {"name": "solver", "hidden": 16, "polish": 2, "curve_hidden": 8}
MODELS = {
    "base": {"encoder": {"name": "base"}},
    "tiny": {"encoder": {"name": "tiny"}},
    "paper": {"encoder": {"name": "averages"}, "controller": {**SOLVER, "intents": ["style"], "after_equaliser": True}},
    "studio": {"encoder": {"name": "averages"}, "controller": {**SOLVER, "curve_heads": 2}},
}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", MODELS)
def test_a_step_of_a_model_reads_and_copies_nothing(name, training, cuda_path, monkeypatch):  # noqa: F811
    """As of the effects: the first step may copy constants to the device, the second copies nothing."""
    autocast = torch.autocast
    monkeypatch.setattr(torch, "autocast", lambda kind, *a, **k: nullcontext() if kind == "meta" else autocast(kind, *a, **k))
    model = build_model({"chain": resolve_chain("deepafx-st").to_dict(), "sample_rate": 24000, **MODELS[name]})
    model, loss = model.to("meta").train(training), StyleTransferLoss(fft_sizes=(32, 512)).to("meta")
    audio, segment = torch.empty(2, 1, 24000, device="meta"), torch.empty(2, 1, 8000, device="meta")
    intent = torch.zeros(2, dtype=torch.long, device="meta")

    def step():
        out, _ = model(audio, audio, segment=segment, intent=intent)
        loss(out, torch.empty_like(out)).backward()

    step()
    with NoReads():
        step()
