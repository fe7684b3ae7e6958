"""The protocols tell good systems from bad: a model that knows the truth, one that does nothing, one that is broken."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from matplotlib.image import imread

from stylefx.corpus.reader import open_corpus
from stylefx.errors import UserError
from stylefx.evaluation.content import STYLES, apply_style, has_effects, style_steps
from stylefx.evaluation.job import EvaluationJob
from stylefx.evaluation.metrics.audio import peak_level_db
from stylefx.evaluation.protocols import PROTOCOLS, protocol, retrieval
from stylefx.evaluation.report import write_folder
from stylefx.evaluation.systems.base import ModelSystem, SystemOutput
from stylefx.evaluation.systems.oracle import optimise
from tests.support.programme import speech_like
from tests.support.truth_corpus import make_sample, make_truth_corpus, untrained_model


class Truth(ModelSystem):
    """Looks the settings up."""

    def __init__(self, corpus):
        super().__init__(untrained_model())
        self.known = {r.key: corpus.metadata(r)["equivalent"] for split in corpus.splits for r in corpus.samples(split)}

    def __call__(self, pairs):
        chosen = [self.known[p.key] for p in pairs]
        return [SystemOutput(self.chain.render(p.input, s, p.sample_rate), s) for p, s in zip(pairs, chosen, strict=True)]


@pytest.fixture(scope="module")
def corpus(corpus_path):
    return open_corpus(corpus_path)


def job(corpus, model=None, **options) -> EvaluationJob:
    return EvaluationJob(model or ModelSystem(untrained_model()), corpus, **{"baselines": (), "items": 2, **options})


def test_p1_finds_next_to_nothing_left_for_the_truth(corpus):
    systems = protocol("p1")(job(corpus, Truth(corpus), items=4)).results["systems"]
    assert systems["model"]["share_left"].mean < 0.25  # the target's compressor came in with its state, ours starts from rest
    assert systems["model"]["rms_db"].mean < 0.5


def test_p2_finds_no_error_in_the_truth_and_some_in_neutral_settings(corpus):
    systems = protocol("p2")(job(corpus, Truth(corpus), items=4)).results["systems"]
    assert max(systems["model"][e].mean for e in systems["model"]) < 1e-9
    assert systems["neutral"]["eq_db"].mean > 1
    assert systems["neutral"]["static_db"].mean > 1
    assert systems["neutral"]["attack_octaves"].count > 0


def test_p2_compares_only_equalisers_where_the_input_was_coloured(tmp_path):
    coloured = open_corpus(make_truth_corpus(tmp_path / "c", {"train": 2, "test": 2}, half_frames=16384, input_eq=True))
    report = protocol("p2")(job(coloured, baselines=("mean",)))
    for system in report.results["systems"].values():
        assert system["eq_db"].count == 2
        assert system["static_db"].count == 0
    assert "2 of 2 samples have no equivalent settings" in report.notes[0]


def test_p3_an_untrained_model_leaves_everything_as_it_is(corpus):
    results = protocol("p3")(job(corpus, items=1)).results
    assert results["mean_mr_stft"]["input"].shape == (5, 5)
    assert np.diag(results["mean_mr_stft"]["input"]).max() == 0
    off = results["mean_mr_stft"]["input"][~np.eye(5, dtype=bool)]
    assert off.min() > 0.2
    assert results["systems"]["model"]["share_left"].mean == pytest.approx(1.0, abs=0.05)


def test_p4_hears_loud_styles_in_any_embedding_and_refuses_shared_groups(corpus, monkeypatch):
    results = protocol("p4")(job(corpus, items=3, training_items=5)).results
    assert results["probes"]["bands"]["accuracy"].mean >= 0.6
    assert np.trace(results["confusion"]) / 5 == pytest.approx(results["probes"]["embedding"]["accuracy"].mean)
    with pytest.raises(UserError, match="the probe would be told"):
        protocol("p4")(job(corpus, split="train"))


def test_p5_an_embedding_of_the_settings_finds_them_and_noise_does_not(corpus, monkeypatch):
    rng = np.random.default_rng(0)
    monkeypatch.setattr(ModelSystem, "embed", lambda self, audio, rate: np.eye(99)[: len(audio)])
    perfect = protocol("p5")(job(corpus, items=8)).results
    assert perfect["features"]["embedding"]["recall_at_1"].mean == 1.0
    assert perfect["share_of_other_groups"] == 1.0
    monkeypatch.setattr(ModelSystem, "embed", lambda self, audio, rate: rng.normal(size=(len(audio), 8)))
    assert protocol("p5")(job(corpus, items=8)).results["features"]["embedding"]["recall_at_1"].mean < 0.6


@pytest.mark.parametrize(("preset", "effects"), [("one-effect", 1), ("two-effects", 2), ("four-effects", 4)])
def test_p5_looks_for_the_settings_of_a_preset(corpus, monkeypatch, preset, effects):
    heard = []

    def apply(audio, steps, rate, engine="own"):
        heard.append([step["effect"] for step in steps if step["step"] == "effect"])
        return audio

    monkeypatch.setattr(retrieval, "apply_style", apply)
    report = protocol("p5")(job(corpus, items=4, preset=f"benchmarks/retrieval/{preset}.yaml"))
    assert {len(names) for names in heard} == {effects}
    assert report.setup["preset"].endswith(f"{preset}.yaml")


def test_p5_with_a_preset_gives_the_same_ranks_again(corpus):
    two = "benchmarks/retrieval/two-effects.yaml"
    a, b = (protocol("p5")(job(corpus, items=6, preset=two, seed=seed)).results["features"]["bands"]["ranks"] for seed in (3, 3))
    np.testing.assert_array_equal(a, b)


def test_p6_predictions_at_the_models_own_ears_hardly_depend_on_the_rate(corpus):
    results = protocol("p6")(job(corpus)).results["rates"]
    assert list(results) == [16000, 24000, 44100, 48000, 96000]
    assert results[24000]["model"]["eq_change_db"].mean == 0
    assert results[96000]["model"]["eq_change_db"].mean < 0.05
    assert results[44100]["native"]["share_left"].mean == pytest.approx(1.0, abs=0.05)


def test_p7_sees_a_model_that_depends_on_polarity(corpus, monkeypatch):
    changes = protocol("p7")(job(corpus)).results["changes"]
    assert changes["input_polarity"]["mr_stft"].mean < 1e-3
    assert changes["input_polarity"]["waveform"].mean < 1e-3
    assert changes["reference_is_input"]["mr_stft"].mean < 0.1
    assert changes["input_gain_-12_db"]["mr_stft"].mean > 0.5  # an untrained model keeps the input's level
    monkeypatch.setattr(
        ModelSystem, "predict", lambda self, x, y, rate: np.stack([np.full(24, 0.7 if a[0, 99] > 0 else 0.3) for a in x])
    )
    assert protocol("p7")(job(corpus)).results["changes"]["input_polarity"]["mr_stft"].mean > 0.2


def test_p8_measures_every_stage(corpus, checkpoint, monkeypatch):
    monkeypatch.setattr("stylefx.evaluation.protocols.speed.DURATIONS_S", (1.0,))
    monkeypatch.setattr("stylefx.evaluation.protocols.speed.REPEATS", 1)
    results = protocol("p8")(job(corpus, checkpoint=checkpoint)).results
    assert results["parameters"] == sum(p.numel() for p in untrained_model().parameters())
    for seconds, found in results["durations"].items():
        assert found["seconds"]["total"] == pytest.approx(sum(v for k, v in found["seconds"].items() if k != "total"))
        assert found["times_real_time"]["total"] == pytest.approx(seconds / found["seconds"]["total"])
        assert found["peak_memory_mib"] is None or found["peak_memory_mib"] >= 0


@pytest.mark.parametrize("name", [n for n in PROTOCOLS if n not in ("p1", "p8")])
def test_every_protocol_writes_json_markdown_and_a_picture(corpus, tmp_path, name):
    report = protocol(name)(job(corpus, items=4 if name == "p5" else 1, training_items=4))
    paths = write_folder(tmp_path, report)
    assert [p.suffix for p in paths] == [".json", ".md", ".png"]
    data = json.loads(paths[0].read_text())
    assert data["protocol"] == name
    assert data["setup"]["sample_rate"] == 24000
    text = paths[1].read_text()
    assert all(table.title in text for table in report.tables)
    assert f"({name}.png)" in text
    assert imread(paths[2])[..., :3].std() > 0.05


def test_styles_are_keyed_and_leave_the_level(corpus):
    audio = speech_like(30000)
    for style in STYLES:
        steps = style_steps(style, 0, "x")
        assert steps == style_steps(style, 0, "x")
        assert steps != style_steps(style, 0, "y")
        assert has_effects(steps)
        assert peak_level_db(apply_style(audio, steps, 24000)) == pytest.approx(-12, abs=1e-3)
    warm, bright = (style_steps(s, 0, "x")[0]["settings"]["high_shelf_gain_db"] for s in ("warm", "bright"))
    assert warm < -19 < 19 < bright


def test_the_oracle_comes_close_to_a_target_that_the_effects_can_reach():
    made = make_sample(2, 16500)
    chain = untrained_model().chain
    audio, target = made["input"][None, :, :16500], made["target"][None, :, :16500]
    _, before = optimise(chain, audio, target, chain.default_controls[None], 24000, 1)
    torch.manual_seed(0)
    controls, after = optimise(chain, audio, target, chain.default_controls[None], 24000, 40)
    assert after < 0.5 * before
    assert ((controls >= 0) & (controls <= 1)).all()
