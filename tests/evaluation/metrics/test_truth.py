"""Recorded steps become settings that do the same, and baselines that know them are what they claim."""

from __future__ import annotations

import numpy as np
import pytest

from stylefx.corpus.reader import open_corpus
from stylefx.effects.curves import erb_grid
from stylefx.effects.presets import deepafx_st_chain
from stylefx.errors import UserError
from stylefx.evaluation.metrics.truth import branch_settings, drawn_settings, known_settings, true_eq_db
from stylefx.evaluation.pairs import read_pair
from stylefx.evaluation.systems.base import ModelSystem
from stylefx.evaluation.training_settings import MeanSettings, NearestSettings
from tests.support.truth_corpus import make_sample, make_truth_corpus, untrained_model

CHAIN = deepafx_st_chain()


@pytest.mark.parametrize("number", range(3))
def test_folding_the_gains_into_the_settings_leaves_the_sound(number):
    made = make_sample(number, 16384)
    settings = branch_settings(made["json"]["target"], CHAIN)
    output = CHAIN.render(made["input"], settings, 24000)
    error = np.sqrt(np.mean((output - made["target"]) ** 2)) / np.sqrt(np.mean(made["target"] ** 2))
    assert error < 1e-5
    assert settings[1]["settings"] == pytest.approx(known_settings(made["json"], CHAIN)[1]["settings"])


def test_left_out_effects_are_neutral_and_keep_the_gain():
    made = make_sample(0, 8192)
    gain = {"step": "normalise", "gain_db": -3.5}
    settings = branch_settings([{"step": "fade", "ms": 50}, gain], CHAIN)
    np.testing.assert_allclose(CHAIN.render(made["input"], settings, 24000), made["input"] * 10 ** (-3.5 / 20), atol=1e-6)


def test_a_raised_input_is_counted():
    made = make_sample(3, 16384)
    meta = {**made["json"], "input": [{"step": "normalise", "gain_db": 6.0}]}
    del meta["equivalent"]
    output = CHAIN.render(made["input"] * np.float32(10 ** (6 / 20)), drawn_settings(meta, CHAIN), 24000)
    np.testing.assert_allclose(output, made["target"], atol=2e-5)


@pytest.mark.parametrize(
    "steps",
    [
        [{"step": "effect", "effect": "reverb", "settings": {}}],
        [{"step": "effect", "effect": e, "settings": {}} for e in ("compressor", "parametric_eq")],
        [{"step": "effect", "effect": "parametric_eq", "settings": {}, "mix": 0.5}],
    ],
)
def test_what_the_chain_cannot_do_has_no_settings(steps):
    assert branch_settings(steps, CHAIN) is None


def test_coloured_inputs_have_only_an_equaliser_difference():
    made = make_sample(1, 8192, input_eq=True)["json"]
    assert known_settings(made, CHAIN) is None
    assert drawn_settings(made, CHAIN) is not None
    grid = erb_grid(40, 10000)
    effect = CHAIN.effects[0]
    expected = effect.response_db(made["target"][0]["settings"], grid, 24000) - effect.response_db(
        made["input"][0]["settings"], grid, 24000
    )
    np.testing.assert_allclose(true_eq_db(made, 24000, grid), expected)


def test_mean_settings_are_the_mean_of_the_training_controls(corpus_path):
    corpus, model = open_corpus(corpus_path), ModelSystem(untrained_model())
    system = MeanSettings.from_corpus(model, corpus, 100)
    controls = [CHAIN.controls(corpus.metadata(r)["equivalent"]) for r in corpus.samples("train")]
    np.testing.assert_allclose(CHAIN.controls(system.settings), np.mean(controls, axis=0), atol=1e-9)


def test_a_training_pair_is_its_own_nearest_neighbour(corpus_path):
    corpus, model = open_corpus(corpus_path), ModelSystem(untrained_model())
    system = NearestSettings.from_corpus(model, corpus, 100)
    refs = corpus.samples("train")[:3]
    for ref, outcome in zip(refs, system([read_pair(corpus, r) for r in refs]), strict=True):
        np.testing.assert_allclose(CHAIN.controls(outcome.settings), CHAIN.controls(corpus.metadata(ref)["equivalent"]))


def test_a_training_split_without_our_effects_is_refused(tmp_path, monkeypatch):
    corpus = open_corpus(make_truth_corpus(tmp_path / "c", {"train": 1}, half_frames=4096))
    monkeypatch.setattr(type(corpus), "metadata", lambda self, ref: {"target": [{"step": "effect", "effect": "delay"}]})
    with pytest.raises(UserError, match="leave them out"):
        MeanSettings.from_corpus(ModelSystem(untrained_model()), corpus, 10)
