"""A run that gets no better ends, and does not go on when it is resumed."""

from __future__ import annotations

import json

import torch

from stylefx.training.loop import held_out
from stylefx.training.loop.validation import ValidationReport
from tests.training.conftest import go, losses, small


def measured(monkeypatch, values: list[float]) -> None:
    found = iter(values)

    def fake(*args):
        metrics = dict.fromkeys(("loss", "l1", "input_mr_stft", "mr_stft_ratio"), 1.0)
        return ValidationReport(metrics | {"mr_stft": next(found)}, torch.zeros(0))

    monkeypatch.setattr(held_out, "validate", fake)


def test_a_run_ends_after_so_many_validations_without_a_better_one(corpus, tmp_path, monkeypatch):
    measured(monkeypatch, [3.0, 4.0, 2.0, 2.5, 2.0, 9.0])
    config = small(corpus, steps=40, validation__every_steps=1, stop__patience=2)
    said = go(config, tmp_path / "run")
    assert any("no better mr_stft in 2 validations: the run ends here" in line for line in said)
    assert max(dict(row)["step"] for row in losses(tmp_path / "run")) == 5
    assert json.loads((tmp_path / "run/checkpoints/best.json").read_text())["checkpoint"] == "step-00000003"
    assert (tmp_path / "run/curves.png").exists()
    go(config, tmp_path / "run", resume=True)  # over is over
    assert max(dict(row)["step"] for row in losses(tmp_path / "run")) == 5


def test_patience_counts_on_over_a_resume(corpus, tmp_path, monkeypatch):
    measured(monkeypatch, [3.0, 4.0, 5.0, 6.0])
    go(small(corpus, steps=2, validation__every_steps=1, stop__patience=3), tmp_path / "run")
    go(small(corpus, steps=40, validation__every_steps=1, stop__patience=3), tmp_path / "run", resume=True)
    assert max(dict(row)["step"] for row in losses(tmp_path / "run")) == 4
