"""``evaluate --refine``: settings as ``transfer --refine`` makes them, beside the plain ones; mistakes are told."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner

from stylefx.corpus.reader import open_corpus
from stylefx.errors import UserError
from stylefx.evaluation.cli import evaluate
from stylefx.evaluation.pairs import held_out, read_pair
from stylefx.evaluation.systems.base import ModelSystem
from stylefx.evaluation.systems.refined import RefinedModel
from stylefx.inference.hearing.predict import predict
from stylefx.inference.hearing.windows import Analysis, Window
from stylefx.inference.refine import refine
from stylefx.models.checkpoint import load_model
from tests.support.truth_corpus import untrained_model


def run(*arguments) -> str:
    result = CliRunner().invoke(evaluate, [str(a) for a in arguments], catch_exceptions=False, env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    return result.output


def test_the_refined_model_stands_beside_the_plain_one(checkpoint, corpus_path, tmp_path):
    output = run(checkpoint, corpus_path, "--items", 3, "--refine", 6, "--json", tmp_path / "r.json")
    assert "model, refined" in output
    data = json.loads((tmp_path / "r.json").read_text())
    assert list(data["results"]["systems"]) == ["input", "rule-based", "model", "model-refined"]
    assert data["setup"]["refine_steps"] == 6
    moved = [
        item["metrics"]["model"]["mr_stft"] - item["metrics"]["model-refined"]["mr_stft"] for item in data["results"]["items"]
    ]
    assert all(moved)


def test_it_is_what_transfer_makes_of_the_same_halves(checkpoint, corpus_path):
    corpus, model = open_corpus(corpus_path), load_model(checkpoint)
    pairs = [read_pair(corpus, ref) for ref in held_out(corpus.samples("test"), "test", 2)]
    found = RefinedModel(ModelSystem(model), 5)([*pairs])
    for pair, outcome in zip(pairs, found, strict=True):
        source, reference = (
            Analysis("half", pair.sample_rate, 1, x.shape[1], (Window(x, 0.0, 0.0, 0.0),)) for x in (pair.input, pair.reference)
        )
        refined = refine(model, predict(model, source, [reference], ()), source, [reference], (), 5)
        expected = model.chain.render(pair.input, model.chain.settings(refined.controls), pair.sample_rate)
        np.testing.assert_allclose(outcome.output, expected, atol=2e-4)


def test_items_do_not_depend_on_their_neighbours(checkpoint, corpus_path):
    corpus = open_corpus(corpus_path)
    pairs = [read_pair(corpus, ref) for ref in held_out(corpus.samples("test"), "test", 3)]
    system = RefinedModel(ModelSystem(load_model(checkpoint)), 4)
    together, last = system(pairs), system(pairs[2:])
    np.testing.assert_allclose(together[2].output, last[0].output, atol=1e-5)


def test_a_model_that_diverged_is_not_refined(corpus_path, monkeypatch):
    model, corpus = untrained_model(), open_corpus(corpus_path)
    monkeypatch.setattr(model, "predict", lambda *a, **k: type(model).predict(model, *a, **k) * float("nan"))
    pair = read_pair(corpus, held_out(corpus.samples("test"), "test", 1)[0])
    assert np.isnan(RefinedModel(ModelSystem(model), 3)([pair])[0].output).all()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--refine-to", "references"], "no step is asked for; give --refine too"),
        (["--refine", "5", "--protocol", "p7"], "--refine is measured by p1, p2, p9, not by p7"),
        (["--refine", "5", "--refine-to", "belief"], "says which curve it wants"),
        (["--preset", "deepafx-st"], "draws what p5 looks for, and p1 looks for nothing"),
        (["--preset", "deepafx", "--protocol", "p5"], "deepafx"),
    ],
)
def test_options_that_would_do_nothing_are_refused(checkpoint, corpus_path, arguments, sentence):
    with pytest.raises(UserError, match=sentence):
        CliRunner().invoke(evaluate, [str(checkpoint), str(corpus_path), *arguments], catch_exceptions=False)
