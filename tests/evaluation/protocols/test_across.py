"""P9 tells help from harm, both intents apart, and is the same test everywhere."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from stylefx.corpus.reader import open_corpus
from stylefx.errors import UserError
from stylefx.evaluation.across import BAND_PASS, GENTLE, NONE, PRODUCED, STYLE_BLOCK, make_pair, plan_transfers
from stylefx.evaluation.content import apply_style
from stylefx.evaluation.items import write_items
from stylefx.evaluation.job import EvaluationJob
from stylefx.evaluation.metrics.character import Character
from stylefx.evaluation.protocols import protocol
from stylefx.evaluation.systems.base import ModelSystem, SystemOutput
from stylefx.models.style_transfer import build_model
from tests.support.truth_corpus import make_truth_corpus, untrained_model


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Dry halves of 2.7 s: 8 samples of 4 groups a split."""
    return open_corpus(make_truth_corpus(tmp_path_factory.mktemp("dry"), {"train": 12, "test": 8}, half_frames=65536, dry=True))


def run(corpus, model=None, **options) -> dict:
    job = EvaluationJob(model or ModelSystem(untrained_model()), corpus, **{"baselines": (), "items": 12, **options})
    return protocol("p9")(job).results["kinds"][""]


class Truth(ModelSystem):
    """Does what was done to the reference."""

    def __init__(self, plans):
        super().__init__(untrained_model())
        self.plans = {p.name: p for p in plans}

    def __call__(self, pairs):
        return [SystemOutput(apply_style(p.input, self.plans[p.key].steps, p.sample_rate)) for p in pairs]


class Reference(ModelSystem):
    """Gives the reference back: perfect balance, no style."""

    def __call__(self, pairs):
        return [SystemOutput(p.reference) for p in pairs]


def test_the_truth_leaves_nothing_of_the_style_and_harms_nobody(corpus):
    found = run(corpus, Truth(plan_transfers(corpus.samples("test"), 12, 0)))
    style = found["systems"]["model"]["style"]
    assert style["octave_share"].mean < 1e-6
    assert style["harm_db"].mean == style["harm_mr_stft"].mean == 0
    assert found["systems"]["input"]["style"]["octave_share"].mean == 1
    assert found["systems"]["model"]["nothing"]["octave_db"].mean < 1e-6


def test_the_reference_itself_is_perfect_balance_and_harm_to_the_style(corpus):
    found = run(corpus, Reference(untrained_model()))["systems"]["model"]
    assert found["balance"]["octave_share"].mean < 1e-6
    assert found["style"]["harm_mr_stft"].mean > 0.5
    assert found["nothing"]["octave_db"].mean > 0.25


def test_items_with_nothing_to_do_are_a_row_of_their_own(corpus):
    found = run(corpus)
    assert found["nothing_to_do"] == 1
    assert found["systems"]["input"]["style"]["octave_db"].count == 11
    assert found["systems"]["input"]["balance"]["octave_db"].count == 12


def test_the_oracle_solves_the_first_items_only_and_others_are_placed_on_its_way(corpus):
    found = run(corpus, baselines=("oracle",), oracle_items=3, oracle_steps=4)["systems"]
    solved = found["oracle"]["style"]["octave_db"].count + found["oracle"]["nothing"]["octave_db"].count
    assert solved == 3
    assert found["oracle"]["style"]["way"].mean == 1
    assert found["input"]["style"]["way"].mean == 0


def test_more_items_contain_fewer_and_every_twelve_hold_every_style(corpus):
    refs = corpus.samples("test")
    few, many = plan_transfers(refs, 12, 0), plan_transfers(refs, 36, 0)
    assert many[:12] == few
    assert Counter(p.style for p in few) == Counter(STYLE_BLOCK)
    assert [p.style for p in few] != [p.style for p in many[12:24]]
    assert {p.content.group for p in few} == {r.group for r in refs}
    assert all(p.content.group != p.reference.group for p in many)
    assert plan_transfers(refs, 12, 1) != few


def test_every_style_is_of_its_size(corpus):
    """The gentle ones under 4 dB of distance, the produced ones and the band pass above them on average."""
    sizes: dict[str, list[float]] = {}
    for planned in plan_transfers(corpus.samples("test"), 36, 0):
        pair = make_pair(corpus, planned)
        truth, source = (Character.of(x, pair.sample_rate, spectra=False) for x in (pair.target, pair.input))
        sizes.setdefault(planned.style, []).append(source.distance(truth)["octave_db"])
    assert max(sizes[GENTLE]) < 4
    assert np.mean(sizes[GENTLE]) < np.mean(sizes[PRODUCED]) < np.mean(sizes["warm"])
    assert np.mean(sizes[BAND_PASS]) > 4


def test_nothing_to_do_means_the_same_samples(corpus):
    planned = next(p for p in plan_transfers(corpus.samples("test"), 12, 0) if p.style == NONE)
    pair = make_pair(corpus, planned)
    assert np.array_equal(pair.input, pair.target)


@pytest.mark.parametrize("engine", ["sox", "pedalboard"])
def test_another_programs_effects_make_nearly_the_same_truth(corpus, engine):
    planned = next(p for p in plan_transfers(corpus.samples("test"), 12, 0) if p.style == "warm")
    ours, theirs = make_pair(corpus, planned), make_pair(corpus, planned, engine)
    assert np.array_equal(ours.input, theirs.input)
    assert np.abs(ours.target - theirs.target).max() < 2e-3
    assert not np.array_equal(ours.target, theirs.target)


def test_a_split_of_one_group_is_refused_with_the_cure(tmp_path):
    alone = open_corpus(make_truth_corpus(tmp_path / "c", {"train": 2, "test": 2}, groups=1, half_frames=16384, dry=True))
    with pytest.raises(UserError, match="another group of the same kind"):
        run(alone)


def test_spectrum_fit_comes_near_the_references_balance_with_the_chains_own_bands(corpus):
    found = run(corpus, baselines=("spectrum-fit",))["systems"]["spectrum-fit"]
    assert found["balance"]["octave_share"].mean < 0.75


def test_ridge_learns_across_content_and_moves_less_than_a_spectrum_fit(corpus):
    found = run(corpus, baselines=("spectrum-fit", "ridge"), items=16)["systems"]
    assert found["ridge"]["style"]["octave_share"].mean < found["spectrum-fit"]["style"]["octave_share"].mean
    assert found["ridge"]["nothing"]["octave_db"].mean < found["spectrum-fit"]["nothing"]["octave_db"].mean


def test_what_another_program_made_of_the_items_is_measured_beside_the_others(corpus, tmp_path):
    job = EvaluationJob(ModelSystem(untrained_model()), corpus, items=12)
    assert write_items(job, tmp_path / "items") == 12
    outputs = tmp_path / "outputs"
    outputs.mkdir()
    for target in (tmp_path / "items").glob("*-target.wav"):
        (outputs / target.name.replace("-target", "")).write_bytes(target.read_bytes())
    found = run(corpus, outside={"peer": outputs})["systems"]["peer"]
    assert found["style"]["octave_share"].mean < 1e-6
    next(outputs.iterdir()).unlink()
    with pytest.raises(UserError, match="holds no output"):
        run(corpus, outside={"peer": outputs})


def test_every_intent_of_a_model_is_a_system_of_its_own(corpus):
    chain = untrained_model().chain.to_dict()
    solver = build_model(
        {"encoder": {"name": "averages"}, "controller": {"name": "solver"}, "chain": chain, "sample_rate": 24000}
    )
    found = run(corpus, ModelSystem(solver))["systems"]
    assert list(found) == ["input", "model", "model-balance"]
    assert found["model"]["style"]["octave_db"].mean != found["model-balance"]["style"]["octave_db"].mean
    alone = run(corpus, ModelSystem(solver, intent="balance"))["systems"]
    assert list(alone) == ["input", "model"]
    assert alone["model"]["style"]["octave_db"].mean == found["model-balance"]["style"]["octave_db"].mean
