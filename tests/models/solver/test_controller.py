"""The encoder of averages and the solver's controller: what they promise before and after learning."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from stylefx.effects.chain import EffectChain
from stylefx.effects.presets import deepafx_st_chain
from stylefx.effects.registry import make_effect
from stylefx.errors import UserError
from stylefx.evaluation.protocols.retrieval import match_ranks
from stylefx.models.checkpoint import load_model, save_model
from stylefx.models.features import Dynamics
from stylefx.models.solver.averages import AveragesEncoder
from stylefx.models.solver.panel import CurvePanel, lessened
from stylefx.models.style_transfer import StyleTransferModel, build_model
from tests.support.programme import speech_like

torch.set_num_threads(1)
RATE, FRAMES = 24000, 65536


def made(chain: EffectChain | None = None, **controller) -> StyleTransferModel:
    torch.manual_seed(0)
    chain = chain or deepafx_st_chain()
    config = {"encoder": {"name": "averages"}, "controller": {"name": "solver", **controller}, "chain": chain.to_dict()}
    return build_model(config | {"sample_rate": RATE}).eval()


def recordings(count: int, seed: int = 0) -> torch.Tensor:
    audio = np.stack([speech_like(FRAMES, RATE, seed=seed + i, channels=1) for i in range(count)])
    return torch.from_numpy(audio * (0.25 / np.abs(audio).max(axis=(1, 2), keepdims=True))).float()


def equalised(audio: torch.Tensor, settings: dict) -> torch.Tensor:
    effect = make_effect("parametric_eq")
    return torch.from_numpy(np.stack([effect.render(x, settings, RATE) for x in audio.numpy()]))


TILT = {"low_shelf_gain_db": -9.0, "low_shelf_cutoff_hz": 150.0, "high_shelf_gain_db": 12.0, "high_shelf_cutoff_hz": 5000.0}


@pytest.mark.parametrize("rate", [8000, 24000, 44100, 96000])
def test_averages_of_equalised_audio_are_averages_plus_the_curve(rate):
    encoder, effect = AveragesEncoder(), make_effect("parametric_eq")
    noise = 0.05 * torch.randn(1, 1, 3 * rate, generator=torch.Generator().manual_seed(0))
    after = encoder(torch.from_numpy(effect.render(noise[0].numpy(), TILT, rate))[None], rate)
    hz = encoder.centres_hz
    below = hz < 0.42 * rate
    curve = torch.zeros(1, 80)
    curve[0, below] = torch.from_numpy(effect.response_db(TILT, hz[below].numpy(), rate)).float()
    expected = encoder.filtered(encoder(noise, rate), curve)
    mean_level, wide = torch.arange(80)[below], hz[below] > 200  # a narrow band has few bins to average
    difference = 20 * (after - expected)[0]
    assert difference[:80][mean_level][wide].abs().max() < 0.3
    assert difference[80:160][mean_level][wide].abs().max() < 0.5
    assert (after[0, :80][~(hz < 0.5 * rate)] == -2).all(), "bands that do not exist hold the floor"


def test_before_anything_is_learned_balance_equalises_to_the_reference():
    """Same recording, equalised: the curve is in plain sight, and polishing finds the bands."""
    model, audio = made(polish=40), recordings(2)
    reference = equalised(audio, TILT)
    controls = model.predict(audio, reference, intent="balance").detach().double().numpy()
    hz = np.geomspace(100, 8000, 40)
    effect = make_effect("parametric_eq")
    true = effect.response_db(TILT, hz, RATE)
    for row in controls:
        curve = effect.response_db(model.chain.settings(row)[0]["settings"], hz, RATE)
        miss = curve - true
        assert np.abs(miss - miss.mean()).mean() < 0.7


@pytest.mark.parametrize("intent", ["style", "balance"])
def test_an_input_that_is_its_own_reference_is_left_alone(intent):
    """Whatever the weights are: here they are far from neutral."""
    model, audio = made(polish=40), recordings(2)
    with torch.no_grad():
        model.controller.curves.correction.bias.normal_(0, 1)
        model.controller.settings[intent].last.bias.fill_(2.0)
    effect = make_effect("parametric_eq")
    for row in model.predict(audio, audio.clone(), intent=intent).detach().double().numpy():
        assert np.abs(row[18:] - model.chain.default_controls[18:]).max() < 1e-5, "no compression"
        curve = effect.response_db(model.chain.settings(row)[0]["settings"], np.geomspace(60, 9000, 40), RATE)
        assert np.abs(curve - curve.mean()).max() < 0.5


def test_predictions_do_not_depend_on_the_batch():
    model, audio, reference = made(), recordings(5), equalised(recordings(5, 10), TILT)
    for intent in ("style", "balance"):
        with torch.no_grad():
            together = model.predict(audio, reference, intent=intent)
            alone = torch.cat([model.predict(a[None], r[None], intent=intent) for a, r in zip(audio, reference, strict=True)])
        torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)


def test_each_item_of_a_batch_may_have_its_own_intent():
    model, audio, reference = made(), recordings(2), equalised(recordings(2, 10), TILT)
    with torch.no_grad():
        mixed = model.predict(audio, reference, intent=torch.tensor([1, 0]))
        style, balance = (model.predict(audio, reference, intent=i) for i in ("style", "balance"))
    torch.testing.assert_close(mixed[0], balance[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(mixed[1], style[1], atol=1e-5, rtol=0)
    assert (style - balance).abs().max() > 0.02


def test_an_intent_that_the_model_does_not_know_is_answered_with_those_it_does():
    audio = recordings(1)
    with pytest.raises(UserError, match="did you mean 'balance'"):
        made().predict(audio, audio, intent="balanced")
    with pytest.raises(UserError, match="knows the intents style, not 'balance'"):
        made(intents=["style"]).predict(audio, audio, intent="balance")
    plain = build_model({"encoder": {"name": "tiny"}, "chain": deepafx_st_chain().to_dict(), "sample_rate": RATE})
    with pytest.raises(UserError, match="knows the intents none"):
        plain.predict(audio, audio, intent="style")
    with pytest.raises(UserError, match="encoder 'averages'"):
        build_model(
            {
                "encoder": {"name": "tiny"},
                "controller": {"name": "solver"},
                "chain": deepafx_st_chain().to_dict(),
                "sample_rate": RATE,
            }
        )


def test_gradients_reach_every_weight_through_the_effects():
    model = made().train()
    output, _ = model(recordings(2), recordings(2, 7), intent=torch.tensor([0, 1]))
    output.square().mean().backward()
    without = [n for n, p in model.named_parameters() if p.grad is None]
    assert all("log_scale" in n for n in without), "the scale is taught by drawn curves"


def test_chains_without_equaliser_or_with_nothing_else_work():
    audio = recordings(1)
    for effect in ("compressor", "graphic_eq"):
        model = made(EffectChain.of(make_effect(effect)))
        belief = model.belief(model.embed(audio), model.embed(audio))
        assert model.predict(audio, audio).shape == (1, model.chain.num_controls) == (1, len(belief.spread))


def test_a_checkpoint_gives_the_same_model(tmp_path):
    model, audio, reference = made(hidden=16), recordings(1), recordings(1, 5)
    model.controller.reading.measure(model.embed(recordings(4)), model.embed(recordings(4, 9)))
    loaded = load_model(save_model(model, tmp_path / "m"))
    assert loaded.intents == ("style", "balance")
    with torch.no_grad():
        assert torch.equal(model.predict(audio, reference, intent="style"), loaded.predict(audio, reference, intent="style"))
        one, two = (m.belief(m.embed(audio), m.embed(reference), "style") for m in (model, loaded))
    assert torch.equal(one.spread, two.spread)


def test_behind_the_equaliser_the_other_heads_hear_what_it_leaves():
    """Averages of the equalised input, without any audio: as the encoder would hear them."""
    bell = {"band1_gain_db": 9.0, "band1_cutoff_hz": 300.0, "band1_q": 0.3}
    model, audio = made(after_equaliser=True), recordings(2)
    reading, encoder = model.controller.reading, model.encoder
    hz = reading.points_hz.numpy()
    curve = torch.from_numpy(make_effect("parametric_eq").response_db(bell, hz, RATE)).float().expand(2, -1)
    expected = encoder(equalised(audio, bell), RATE)
    found = reading.equalised(encoder(audio, RATE), curve)
    mean_level = slice(20, reading.points)
    assert (20 * (found - expected))[:, mean_level].abs().max() < 1.0
    levels = reading._levels
    plain = encoder(audio, RATE)
    loudest = levels.start + Dynamics.num_levels // 2 - 3  # quantile 0.9 of the block levels
    assert (20 * (found - expected))[:, loudest].abs().max() < 2.0 < (20 * (plain - expected))[:, loudest].abs().max()
    assert reading.loudness_apart(found, expected).abs().max() < 0.05


def test_heads_behind_the_equaliser_are_kept_by_the_checkpoint(tmp_path):
    model, audio = made(after_equaliser=True, curve_heads=2, curve_hidden=16), recordings(2)
    model.controller.curves.calibrate(0.7, 1.3)
    path = save_model(model, tmp_path / "model")
    again = load_model(path)
    assert again.controller.options() == model.controller.options()
    assert float(again.controller.curves.least_db) == pytest.approx(0.7)
    assert torch.equal(again.predict(audio, equalised(audio, TILT)), model.predict(audio, equalised(audio, TILT)))


def test_a_panel_is_the_mean_of_its_heads_lessened_and_then_held():
    torch.manual_seed(1)
    panel, features = CurvePanel(3, 12, 7, 8, 0.5).eval(), torch.randn(4, 12)
    mean = torch.stack([member(features)[0] for member in panel.members]).mean(0)
    torch.testing.assert_close(panel(features)[0], mean)
    panel.calibrate(1e6, 2.0)
    assert not panel(features)[0].any(), "curves smaller than what is taken off are nothing"
    panel.hold()
    panel.train()
    assert not any(module.training for module in panel.modules()), "thinning would undo the calibration"
    assert not any(p.requires_grad for p in panel.parameters())


def test_lessened_curves_keep_their_shape():
    curve = torch.tensor([[3.0, -3.0, 3.0, -3.0], [0.2, -0.2, 0.2, -0.2]])
    torch.testing.assert_close(lessened(curve, 1.0), torch.tensor([[2.0, -2.0, 2.0, -2.0], [0.0, 0.0, 0.0, 0.0]]))
    assert torch.equal(lessened(curve, 0.0), curve)


def test_a_panel_of_no_heads_is_refused():
    with pytest.raises(UserError, match="curve_heads is 0"):
        made(curve_heads=0)


def test_the_shipped_style_embedding_finds_styles_on_other_contents():
    """Six equalisers, each on two contents: what was done to the one is looked for among the others."""
    model = load_model("studio")
    rng = np.random.default_rng(3)
    contents = [recordings(6, seed=n)[:, :, :40000] for n in (10, 40)]
    gains = rng.permutation([(-20, 18), (18, -20), (-18, -18), (12, 10), (0, -15), (-15, 0)])
    styled = [
        torch.cat(
            [
                equalised(x[None], {"low_shelf_gain_db": low, "low_shelf_cutoff_hz": 250, "high_shelf_gain_db": high})
                for x, (low, high) in zip(content, gains.tolist(), strict=True)
            ]
        )
        for content in contents
    ]
    with torch.inference_mode():
        rows = [model.embed(x, RATE) for x in styled]
        told = [model.style_embedding(r).double().numpy() for r in rows]
    assert match_ranks(*told).mean() < 2.5  # chance: 3.5
