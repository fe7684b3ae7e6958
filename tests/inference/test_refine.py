"""Gradient steps bring the output closer to its references, from any start, and a prior holds the settings near it."""

import numpy as np
import pytest
import torch

from stylefx.effects.presets import deepafx_st_chain
from stylefx.errors import UserError
from stylefx.inference.hearing.predict import Prediction, predict
from stylefx.inference.hearing.windows import Analysis, Window
from stylefx.inference.refine import refine
from stylefx.models.refining import steps as steps_module
from stylefx.models.refining.distance import StyleDistance
from stylefx.models.refining.steps import Refined
from stylefx.models.style_transfer import build_model
from tests.inference.conftest import speech_like, write

RATE = 24000


class Model:
    encoder = torch.nn.Identity()
    chain, sample_rate, intents = deepafx_st_chain(), float(RATE), ()


def analysis(audio: np.ndarray) -> Analysis:
    audio = audio * np.float32(10 ** (-12 / 20) / np.abs(audio).max())
    return Analysis("test", RATE, 1, audio.shape[1], (Window(audio, 0.0, 0.0, 0.0),))


@pytest.fixture
def pair():
    """Input, reference in a style of known settings (other audio), and the input in that style."""
    torch.set_num_threads(1)
    chain = Model.chain
    settings = chain.complete(None)
    settings[0]["settings"].update(low_shelf_gain_db=8.0, band2_gain_db=-7.0, high_shelf_gain_db=9.0)
    settings[1]["settings"].update(threshold_db=-35.0, ratio=4.0, makeup_gain_db=6.0)
    source, other = speech_like(2.2, RATE, seed=1), speech_like(2.5, RATE, seed=1, pitch_hz=150)
    return source, chain.render(other, settings, RATE), chain.render(source, settings, RATE)


def run(pair, steps: int) -> Refined:
    start = Model.chain.default_controls
    return refine(Model, Prediction(Model.chain, start, start[None]), analysis(pair[0]), [analysis(pair[1])], (), steps)


def test_steps_bring_the_distance_down_and_the_output_towards_the_truth(pair):
    from stylefx.audio.distance import mr_stft

    refined = run(pair, 40)
    assert refined.after < 0.6 * refined.before
    assert refined.before == pytest.approx(sum(refined.parts_before.values()))

    def level(x):
        return x / np.sqrt(np.mean(np.square(x)))

    source, _, target = pair
    output = Model.chain.render(source, Model.chain.settings(refined.controls), RATE)
    assert mr_stft(level(output), level(target)) < 0.75 * mr_stft(level(source), level(target))


def test_no_steps_change_nothing(pair):
    refined = run(pair, 0)
    np.testing.assert_allclose(refined.controls, Model.chain.default_controls, atol=1e-7)
    assert refined.before == refined.after


def test_the_prior_holds_the_settings_near_the_prediction(pair, monkeypatch):
    free = run(pair, 10)
    monkeypatch.setattr(steps_module, "PRIOR_DB", 2000.0)
    held = run(pair, 10)
    assert 0 < held.moved < 0.5 * free.moved


def test_distances_do_not_depend_on_the_number_of_windows(pair):
    """Features are averaged: the same window twice is the same style."""
    distance = StyleDistance(RATE)
    one = torch.from_numpy(pair[0])[None]
    a = distance.features(one, torch.ones(1))
    b = distance.features(one.expand(3, -1, -1), torch.full((3,), 1 / 3))
    assert all(value.item() == pytest.approx(0, abs=1e-4) for value in distance(a, b).values())


def test_the_command_prints_distances_before_and_after(tmp_path, command, checkpoint):
    a = write(tmp_path / "a.wav", speech_like(3, RATE, seed=1), RATE)
    b = write(tmp_path / "b.wav", speech_like(3, RATE, seed=2, pitch_hz=230), RATE)
    status, text, _ = command("transfer", a, b, "-o", tmp_path / "o.wav", "--model", checkpoint, "--refine", 5)
    assert status == 0
    line = next(line for line in text.splitlines() if line.startswith("refine"))
    before, after = (float(word) for word in line.split() if word.replace(".", "").isdigit() and "." in word)
    assert after <= before


@pytest.fixture
def solver():
    """An untrained model that says which curve it wants, and whose bands do not follow it."""
    torch.manual_seed(1)
    parts = {"encoder": {"name": "averages"}, "controller": {"name": "solver", "polish": 0}, "sample_rate": RATE}
    model = build_model({**parts, "chain": deepafx_st_chain().to_dict()})
    return model.eval()


def test_under_style_the_bands_come_nearer_to_the_curve_that_the_model_wants(solver, pair):
    torch.set_num_threads(1)
    heard, reference = analysis(pair[0]), analysis(pair[1])
    start = predict(solver, heard, [reference], (), "style")
    refined = refine(solver, start, heard, [reference], (), 40, "style")
    assert list(refined.parts_after) == ["curve"]
    assert refined.after < 0.9 * refined.before
    others = solver.controller.others.numpy()
    np.testing.assert_allclose(refined.controls[others], start.controls[others], atol=1e-6)


def test_under_balance_the_output_comes_nearer_to_the_references_averages(solver, pair):
    heard, reference = analysis(pair[0]), analysis(pair[1])
    start = predict(solver, heard, [reference], (), "balance")
    refined = refine(solver, start, heard, [reference], (), 10, "balance")
    assert set(refined.parts_after) == {"spectrum", "dynamics"}
    assert refined.after < refined.before


def test_without_an_intent_the_models_first_is_meant(solver, pair):
    heard, reference = analysis(pair[0]), analysis(pair[1])
    start = predict(solver, heard, [reference], ())
    refined = refine(solver, start, heard, [reference], (), 0)
    assert list(refined.parts_after) == ["curve"]


def test_a_model_that_wants_no_curve_cannot_refine_a_style(pair):
    class Plain(Model):
        intents, controller = ("style", "balance"), torch.nn.Identity()

    start = Model.chain.default_controls
    prediction = Prediction(Model.chain, start, start[None])
    with pytest.raises(UserError, match="says which curve it wants"):
        refine(Plain, prediction, analysis(pair[0]), [analysis(pair[1])], (), 5, "style")


def test_a_style_can_be_refined_towards_the_references_too(solver, pair):
    """Halves of one recording: what the reference's averages are is what was done to it."""
    heard, reference = analysis(pair[0]), analysis(pair[1])
    start = predict(solver, heard, [reference], (), "style")
    refined = refine(solver, start, heard, [reference], (), 10, "style", towards="references")
    assert (refined.towards, set(refined.parts_after)) == ("references", {"spectrum", "dynamics"})
    assert refined.after < refined.before


def test_between_is_nearer_to_the_truth_than_a_wrong_prediction_and_a_reference_of_other_words(pair):
    """The prediction is wrong by what it is, the reference by what it plays; the middle errs less than the prediction."""
    from stylefx.audio.distance import mr_stft

    source, reference, target = pair
    wrong = Model.chain.controls(Model.chain.complete(None))
    wrong[[0, 6, 15]] += (0.12, 0.1, 0.1)
    start = Prediction(Model.chain, wrong, wrong[None])
    refined = refine(Model, start, analysis(source), [analysis(reference)], (), 40, towards="between")
    assert (refined.towards, set(refined.parts_after)) == ("between", {"spectrum", "dynamics"})
    half_way = refine(Model, start, analysis(source), [analysis(reference)], (), 0, towards="references")
    assert refined.before == pytest.approx(half_way.before / 2, rel=1e-3)
    before, after = (Model.chain.render(source, Model.chain.settings(c), RATE) for c in (wrong, refined.controls))
    assert mr_stft(after, target) < mr_stft(before, target)


def test_the_command_says_what_it_approached(tmp_path, command):
    a = write(tmp_path / "a.wav", speech_like(6, RATE, seed=1), RATE)
    b = write(tmp_path / "b.wav", speech_like(6, RATE, seed=2, pitch_hz=230), RATE)
    how = ["-o", tmp_path / "o.wav", "--model", "paper", "--overwrite"]
    status, text, _ = command("transfer", a, b, *how, "--refine", 2)
    assert status == 0
    assert "refine: distance to the curve that the model believes in" in text
    status, text, _ = command("transfer", a, b, *how, "--refine", 2, "--refine-to", "references")
    assert status == 0
    assert "refine: distance to the references" in text
    status, text, _ = command("transfer", a, b, *how, "--refine", 2, "--refine-to", "between")
    assert status == 0
    assert "refine: distance to the middle of prediction and references" in text
    status, _, said = command("transfer", a, b, *how, "--refine-to", "references")
    assert status != 0
    assert "give refine_steps (--refine) too" in said
