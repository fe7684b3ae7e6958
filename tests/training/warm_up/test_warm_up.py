"""The warm-up: pairs with a known curve, a head that is restrained, runs that resume bit for bit on any number of ranks."""

from __future__ import annotations

import pytest
import torch

from stylefx.corpus.reader import open_corpus
from stylefx.effects.presets import deepafx_st_chain
from stylefx.errors import UserError
from stylefx.keyed import Draw
from stylefx.models.checkpoint import load_model
from stylefx.models.style_transfer import build_model
from stylefx.training.config import WarmUpConfig
from stylefx.training.loop import trainer as trainer_module
from stylefx.training.loop.step import Objective
from stylefx.training.warm_up.curves import CurveDraws
from stylefx.training.warm_up.heard import HeardDistance
from stylefx.training.warm_up.pairs import CurvePairs
from stylefx.training.warm_up.stages import curve_loss, teach_curves
from stylefx.training.warm_up.store import DryAverages, chosen_samples, measure_dry
from tests.training.conftest import go, losses, small
from tests.training.processes.test_distributed import torchrun

torch.set_num_threads(1)

WARM = {
    "model": {"encoder": {"name": "averages"}, "controller": {"name": "solver", "hidden": 16}},
    "data__render": "online",
    "warm_up": {"solver_steps": 3, "curve_steps": 3, "items": 6, "batch": 8, "curve_weight": 0.5},
    "balance_share": 0.5,
}


def solver_model():
    torch.manual_seed(0)
    config = {"encoder": {"name": "averages"}, "controller": {"name": "solver", "hidden": 32, "dropout": 0.0}}
    return build_model(config | {"chain": deepafx_st_chain().to_dict(), "sample_rate": 24000})


def pairs_of(model, other_content: float = 0.5, seed: int = 4) -> CurvePairs:
    """Contents whose spectra differ by smooth curves."""
    draws = CurveDraws(model.encoder.centres_hz, 9)
    rows = -1.0 + 0.2 * torch.randn(12, 2, 2, model.encoder.embedding_size, generator=torch.Generator().manual_seed(1))
    members = {"speech": {f"g{i}": [2 * i, 2 * i + 1] for i in range(6)}}

    def curves(count: int):
        return torch.zeros(count, 80), draws(count)

    return CurvePairs(DryAverages(rows, members), model.encoder, curves, draws, other_content, seed)


def later_steps(run) -> list[tuple]:
    """The journal's training rows after step 4 (a run that ends there validates once more)."""
    return [row for row in losses(run) if dict(row)["kind"] == "train" and dict(row)["step"] > 4]


def test_pairs_repeat_with_their_seed_and_hold_the_curve_that_they_name():
    model = solver_model()
    pairs = pairs_of(model, other_content=0.0)
    pairs.rooms.smooth = lambda count, deviation: torch.zeros(count, 80)
    pairs.rows[:] = pairs.rows[:1, :1, :1]  # one content: what differs is the curve
    e_input, e_reference, true_db = pairs(20)
    inside = (e_reference[:, :80] > -1.99) & (e_input[:, :80] > -1.99)
    difference = 20 * (e_reference - e_input)[:, :80]
    torch.testing.assert_close(difference[inside], true_db[inside], atol=1e-4, rtol=0)
    pairs.reseed(77)
    first = pairs(5)
    pairs.reseed(77)
    assert all(torch.equal(a, b) for a, b in zip(first, pairs(5), strict=True))


def test_the_head_learns_the_curve_and_to_leave_alone_what_needs_nothing():
    model = solver_model()
    pairs, controller = pairs_of(model, other_content=0.0), model.controller
    controller.reading.measure(*pairs(200)[:2])
    test = pairs(64)
    distance = HeardDistance(model.encoder, controller.reading.points)
    before = curve_loss(controller, controller.curves, distance, test, restraint=1.0)
    teach_curves(controller, pairs, WarmUpConfig(curve_steps=60, batch=32), lambda *_: None)
    assert curve_loss(controller, controller.curves.eval(), distance, test, restraint=1.0) < 0.6 * before
    curve, _ = controller.style_curve(test[0], test[0])
    assert curve.abs().mean() < 0.25 * test[2].abs().mean()


def test_samples_are_chosen_evenly_over_groups(corpus):
    opened = open_corpus(corpus)
    chosen = [ref for _, ref in chosen_samples([opened], 6, seed=1)]
    groups = [ref.group for ref in chosen]
    every = {ref.group for ref in opened.samples("train")}
    assert len({*groups[: len(every)]}) == min(6, len(every))
    assert [r.key for r in chosen] == [ref.key for _, ref in chosen_samples([opened], 6, seed=1)]


def test_dry_averages_hold_both_halves_and_a_processed_version(corpus):
    model = solver_model()
    dry = measure_dry(model.encoder, model.chain, [open_corpus(corpus)], 4, seed=1)
    assert dry.rows.shape == (4, 2, 2, model.encoder.embedding_size)
    assert torch.isfinite(dry.rows).all()
    assert (dry.rows[:, :, 0] - dry.rows[:, :, 1]).abs().max() > 0.01
    assert sorted(i for groups in dry.members.values() for items in groups.values() for i in items) == [0, 1, 2, 3]


def test_a_warmed_up_run_resumes_bit_for_bit(corpus, tmp_path):
    go(small(corpus, **WARM), tmp_path / "whole")
    said = go(small(corpus, **WARM, steps=4), tmp_path / "run")
    assert any("warm-up: curves 3 of 3" in line for line in said)
    again = go(small(corpus, **WARM), tmp_path / "run", resume=True)
    assert not any("curves" in line for line in again), "what the checkpoint knows is not taught again"
    assert later_steps(tmp_path / "run") == later_steps(tmp_path / "whole")
    assert len(later_steps(tmp_path / "run")) == 2
    assert load_model(tmp_path / "run").intents == ("style", "balance")


def test_a_share_of_the_items_has_the_balance_as_intent(corpus, tmp_path, monkeypatch):
    seen = []
    original = trainer_module.draw_intents

    def spy(batch, *args):
        drawn = original(batch, *args)
        seen.append((batch.keys, batch.epochs, drawn))
        return drawn

    monkeypatch.setattr(trainer_module, "draw_intents", spy)
    go(small(corpus, **WARM, steps=3), tmp_path / "run")
    for keys, epochs, drawn in seen:
        expected = [Draw(3, "train/intent", f"{e}/{k}").chance(0.5) for k, e in zip(keys, epochs, strict=True)]
        assert drawn["balance"].tolist() == expected
        assert drawn["intent"].tolist() == [int(e) for e in expected]


def test_balance_is_lost_to_the_reference_and_style_to_the_target():
    objective = Objective(1.0, balance_weight=1.0, sample_rate=24000)
    noise = 0.1 * torch.randn(2, 1, 40000, generator=torch.Generator().manual_seed(0))
    audio = {"input": noise, "target": noise * 0.5, "reference": noise, "balance": torch.tensor([True, True])}
    assert objective(noise, audio).loss < 1e-4, "the output is the reference already"
    assert objective(noise, audio | {"balance": torch.tensor([False, False])}).loss > 0.1
    output = noise.clone().requires_grad_()
    objective(output * 0.3, audio).loss.backward()
    assert output.grad.abs().sum() > 0


def test_what_the_warm_up_needs_is_said(corpus, tmp_path):
    with pytest.raises(UserError, match="warm_up teaches the controller 'solver'"):
        go(small(corpus, warm_up={"solver_steps": 1}), tmp_path / "a")


def test_two_ranks_warm_up_alike_and_train(corpus, tmp_path):
    """Without the pairs in later steps the scale of the curve gets no gradient, which the ranks must not wait for."""
    config = small(corpus, **(WARM | {"warm_up": WARM["warm_up"] | {"curve_weight": 0.0}}), steps=2)
    process = torchrun(config, tmp_path, tmp_path / "run")
    assert process.wait(timeout=120) == 0, process.stdout.read()
    assert len(losses(tmp_path / "run")) >= 2


def test_a_fold_holds_every_group_once_and_shares_none():
    pairs = pairs_of(solver_model(), other_content=1.0)
    for number in range(3):
        known, held = pairs.fold(number, 3, seed=1)
        sides = [set(part.averages.members["speech"]) for part in (known, held)]
        assert not sides[0] & sides[1]
        assert sides[0] | sides[1] == set(pairs.averages.members["speech"])
        assert len(sides[1]) == 2


def test_pairs_draw_groups_evenly_and_references_from_others():
    pairs = pairs_of(solver_model(), other_content=1.0)
    pairs.averages.rows[:, :, :, 0] = torch.arange(12).float()[:, None, None] // 2  # the group's number
    first, second, _, other = pairs._contents(3000)
    assert other.all()
    assert (first[:, 0] != second[:, 0]).all()
    counts = torch.bincount(first[:, 0].round().long(), minlength=6)
    assert counts.min() > 0.8 * counts.max()


def test_the_curves_of_a_panel_are_held_after_the_warm_up(corpus, tmp_path):
    panel = WARM | {"model": {"encoder": {"name": "averages"}, "controller": {"name": "solver", "hidden": 16, "curve_heads": 2}}}
    with pytest.raises(UserError, match="curve_heads are held"):
        go(small(corpus, **panel), tmp_path / "refused")
    panel |= {"warm_up": WARM["warm_up"] | {"curve_weight": 0.0}}
    go(small(corpus, **panel, steps=2), tmp_path / "short")
    go(small(corpus, **panel, steps=4), tmp_path / "long")
    short, long = (load_model(tmp_path / name).controller for name in ("short", "long"))
    weights = [dict(c.curves.state_dict()) for c in (short, long)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert not torch.equal(short.settings["style"].last.weight, long.settings["style"].last.weight)


def test_restraint_counts_what_an_item_loses_by_the_effects():
    plain, restrained = Objective(1.0), Objective(1.0, restraint=2.0)
    target = 0.1 * torch.randn(2, 1, 40000, generator=torch.Generator().manual_seed(0))
    audio = {"input": target * 1.1, "target": target}
    nearer, further = target * 1.05, target * 2.0
    assert restrained(nearer, audio).loss == pytest.approx(float(plain(nearer, audio).loss))
    lost = plain(further, audio).mr_stft - plain(audio["input"], audio).mr_stft
    assert float(restrained(further, audio).loss - plain(further, audio).loss) == pytest.approx(2 * float(lost), rel=1e-4)
