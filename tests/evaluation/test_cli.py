"""``stylefx evaluate``: tables, files whole or not at all, the same numbers every time, one sentence for mistakes."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from matplotlib.image import imread

from stylefx.corpus.reader import Corpus, open_corpus
from stylefx.errors import UserError
from stylefx.evaluation.cli import evaluate
from stylefx.evaluation.metrics.audio import measure
from stylefx.evaluation.pairs import read_pair


def invoke(*arguments) -> str:
    result = CliRunner().invoke(evaluate, [str(a) for a in arguments], catch_exceptions=False, env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    return result.output


def test_p1_prints_a_table_and_writes_every_number(checkpoint, corpus_path, tmp_path):
    output = invoke(checkpoint, corpus_path, "--json", tmp_path / "r.json", "--out", tmp_path / "out")
    for text in ("8 items of 4 groups", "RB-DSP", "model", "distance left"):
        assert text in output
    data = json.loads((tmp_path / "r.json").read_text())
    assert data["protocol"] == "p1"
    assert json.loads((tmp_path / "out/p1.json").read_text()) == data
    systems = data["results"]["systems"]
    assert list(systems) == ["input", "rule-based", "model"]
    assert systems["input"]["share_left"]["mean"] == 1.0
    corpus = open_corpus(corpus_path)
    by_key = {r.key: r for r in corpus.samples("test")}
    for item in data["results"]["items"]:
        pair = read_pair(corpus, by_key[item["key"]])
        assert item["metrics"]["input"] == pytest.approx(measure(pair.input, pair.target, 24000), rel=1e-12)
        assert item["settings"]["model"][1]["effect"] == "compressor"
    means = np.mean([i["metrics"]["model"]["mr_stft"] for i in data["results"]["items"]])
    assert systems["model"]["mr_stft"]["mean"] == pytest.approx(means)
    assert systems["model"]["share_left"]["mean"] == pytest.approx(means / systems["input"]["mr_stft"]["mean"])
    assert "| RB-DSP |" in (tmp_path / "out/p1.md").read_text()
    assert imread(tmp_path / "out/p1.png")[..., :3].std() > 0.05


@pytest.mark.parametrize("what", ["source", "label"])
def test_p1_tells_sources_and_labels_apart(checkpoint, corpus_path, tmp_path, monkeypatch, what):
    real = Corpus.samples
    kind = {0: "speech", 1: "music"}
    monkeypatch.setattr(Corpus, "samples", lambda *a: [replace(r, **{what: kind[int(r.key[-1]) % 2]}) for r in real(*a)])
    shown = invoke(checkpoint, corpus_path, "--json", tmp_path / "r.json")
    assert ("speech (4)" if what == "source" else "speech (4 items)") in shown
    results = json.loads((tmp_path / "r.json").read_text())["results"]
    for value, found in results[f"{what}s"].items():
        own = [i["metrics"]["model"]["msd"] for i in results["items"] if i[what] == value]
        assert len(own) == 4
        assert found["model"]["msd"]["mean"] == pytest.approx(np.mean(own))


def test_the_same_numbers_whatever_the_batch(checkpoint, corpus_path, tmp_path):
    found = []
    for batch in (1, 3):
        invoke(checkpoint, corpus_path, "--batch", batch, "--items", 4, "--json", tmp_path / f"{batch}.json")
        found.append(json.loads((tmp_path / f"{batch}.json").read_text())["results"]["systems"])
    for system in found[0]:
        for metric in ("mr_stft", "msd", "lufs"):
            assert found[0][system][metric]["mean"] == pytest.approx(found[1][system][metric]["mean"], rel=1e-4)
    invoke(checkpoint, corpus_path, "--batch", 3, "--items", 4, "--json", tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "3.json").read_bytes()


def test_a_model_that_diverged_fails_its_items_and_the_run_ends(checkpoint, corpus_path, tmp_path, monkeypatch):
    from stylefx.models.style_transfer import StyleTransferModel

    real = StyleTransferModel.predict
    monkeypatch.setattr(StyleTransferModel, "predict", lambda *a: real(*a) * float("nan"))
    output = invoke(checkpoint, corpus_path, "--items", 2, "--json", tmp_path / "r.json")
    assert "(2 failed)" in output
    model = json.loads((tmp_path / "r.json").read_text())["results"]["systems"]["model"]
    assert model["mr_stft"]["mean"] is None
    assert model["mr_stft"]["failures"] == 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--baselines", "rule"], "no baseline 'rule'"),
        (["--protocol", "p99"], "no protocol 'p99'"),
        (["--split", "val"], "no split 'val'"),
        (["--source", "elsewhere"], "has no source 'elsewhere'"),
        (["--device", "toaster"], "device 'toaster' cannot be used"),
        (["--json", "/nowhere/r.json"], "does not exist; make it first"),
    ],
)
def test_mistakes_are_one_sentence(checkpoint, corpus_path, arguments, sentence):
    with pytest.raises(UserError, match=sentence):
        CliRunner().invoke(evaluate, [str(checkpoint), str(corpus_path), *arguments], catch_exceptions=False)


def test_a_missing_checkpoint_and_a_corpus_that_is_none_are_named(checkpoint, corpus_path, tmp_path):
    with pytest.raises(UserError, match="is missing"):
        invoke(tmp_path / "none.safetensors", corpus_path)
    with pytest.raises(UserError, match="not a finished corpus"):
        invoke(checkpoint, tmp_path)
