"""Training: it learns, it is the same in one pass or several, and it says when something is wrong."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from stylefx.corpus.batch import Batch
from stylefx.corpus.dataset import EvaluationSet
from stylefx.corpus.loader import EvaluationLoader
from stylefx.corpus.reader import open_corpus
from stylefx.models.checkpoint import load_model
from stylefx.training.loop.ema import MovingAverage
from stylefx.training.loop.step import DivergedError, Objective, cut, to_device
from stylefx.training.loop.validation import validate
from tests.training.conftest import go, losses, small


def column(run, name, kind="train"):
    return [dict(row)[name] for row in losses(run) if dict(row)["kind"] == kind]


def test_it_learns_and_leaves_what_a_person_looks_at(corpus, tmp_path):
    run = tmp_path / "run"
    said = go(small(corpus, steps=44, validation__every_steps=44, optimiser__learning_rate=3e-3), run)
    assert np.mean(column(run, "loss")[-11:]) < 0.85 * np.mean(column(run, "loss")[:11])  # four epochs each
    [ratio] = column(run, "mr_stft_ratio", "validation")
    assert ratio < 0.95
    assert (run / "curves.png").read_bytes()[:4] == b"\x89PNG"
    assert (run / "config.yaml").exists()
    assert any("data wait" in line and "examples/s" in line for line in said)
    assert any("waited for data" in line for line in said)
    assert load_model(run).chain.num_controls == 24


def test_accumulating_gradients_equals_one_large_batch(corpus, undisturbed, tmp_path):
    go(small(corpus, micro_batch=1), tmp_path / "run")
    for name in ("loss", "gradient_norm"):
        one, several = column(undisturbed, name), column(tmp_path / "run", name)
        assert several[:2] == pytest.approx(one[:2], rel=1e-3)
        assert several == pytest.approx(one, rel=0.05)  # rounding grows from step to step


def test_a_loss_that_is_not_finite_stops_the_run_and_its_samples_are_named(corpus, tmp_path, monkeypatch):
    """One sample is loud beyond what float32 can square: the error names that sample and no other."""
    from stylefx.corpus.dataset import TrainingSet

    bad = open_corpus(corpus).samples("train")[4].key
    original = TrainingSet.read

    def read(self, item):
        audio, marks = original(self, item)
        if item.ref.key == bad:
            audio["target"][0, 5::9] = 3e38
        return audio, marks

    monkeypatch.setattr(TrainingSet, "read", read)
    with pytest.raises(DivergedError) as error:
        go(small(corpus, steps=20), tmp_path / "run")
    assert bad in str(error.value)
    assert str(error.value).count("made-") == 1


def test_validation_is_the_mean_over_all_items_whatever_the_batch(corpus, undisturbed):
    model, data = load_model(undisturbed), EvaluationSet([open_corpus(corpus)])
    objective = Objective(100.0)

    def prepare(batch: Batch):
        return to_device(batch, torch.device("cpu"))

    reports = [validate(model, objective, EvaluationLoader(data, batch=b), prepare) for b in (1, 2, 5, 8)]
    each = []
    for i in range(len(data)):
        item = {k: torch.from_numpy(v)[None] for k, v in data.read(i)[0].items()}
        with torch.no_grad():
            output, _ = model(item["input"], item["reference"])
        each.append(float(objective(output, item).mr_stft))
    for report in reports:
        assert report.metrics["mr_stft"] == pytest.approx(np.mean(each), rel=1e-5)
        assert report.controls.shape == (len(data), 24)


def test_a_stretch_is_the_same_place_of_input_and_target():
    whole = torch.arange(40.0).reshape(2, 1, 20)
    got = cut({"input": whole, "target": whole + 100, "reference": whole}, [3, 7], 5)
    assert got["segment"][:, 0].tolist() == [[3, 4, 5, 6, 7], [27, 28, 29, 30, 31]]
    assert torch.equal(got["target"], got["segment"] + 100)
    assert got["input"] is whole
    assert "segment" not in cut({"input": whole, "target": whole}, [0, 0], 20)


def test_the_moving_average_is_the_average():
    model = torch.nn.Linear(1, 1, bias=False)
    average, value = MovingAverage(model, 0.5), float(model.weight.detach())
    for step in range(20):
        with torch.no_grad():
            model.weight.fill_(step)
        average.update(model, step)
        decay = min(0.5, (1 + step) / (10 + step))
        value = decay * value + (1 - decay) * step
    assert float(average.weights["weight"]) == pytest.approx(value, rel=1e-6)
    with average.applied(model):
        assert float(model.weight.detach()) == pytest.approx(value, rel=1e-6)
    assert float(model.weight.detach()) == 19


def test_weights_to_start_from_are_loaded(corpus, undisturbed, tmp_path):
    go(small(corpus, steps=1, init_from=str(undisturbed), optimiser__learning_rate=1e-12), tmp_path / "run")
    before, after = load_model(undisturbed).state_dict(), load_model(tmp_path / "run").state_dict()
    assert all(torch.allclose(before[k], after[k], atol=1e-6) for k in before)


def test_the_journal_says_step_and_position(undisturbed):
    state = json.loads((undisturbed / "checkpoints/step-00000006/state.json").read_text())
    assert (state["epoch"], state["position"]) == (2, 2)  # 6 steps of 4 over 11 samples


def test_tensorboard_has_curves_settings_audio_and_pictures(corpus, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = tmp_path / "run"
    go(small(corpus, steps=2, logging__backends=["tensorboard"]), run)
    events = EventAccumulator(str(run / "tensorboard"), size_guidance={"images": 0, "audio": 0, "histograms": 0})
    events.Reload()
    tags = events.Tags()
    assert {"train/loss", "train/learning_rate", "train/data_wait", "validation/mr_stft", "validation/input_mr_stft"} <= set(
        tags["scalars"]
    )
    assert len(tags["histograms"]) == 24
    assert "settings/1-compressor/threshold_db" in tags["histograms"]
    threshold = events.Histograms("settings/1-compressor/threshold_db")[0].histogram_value
    assert -80 <= threshold.min <= threshold.max <= 0
    assert len(tags["audio"]) == 2 * 4
    assert len(tags["images"]) == 2
