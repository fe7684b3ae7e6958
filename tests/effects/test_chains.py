"""Chains: controls and settings, dry/wet and bypass, plain data and files, and errors a user can act on."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from stylefx.effects.base import Effect
from stylefx.effects.chain import EffectChain, Slot
from stylefx.effects.files import chain_from_yaml, chain_to_yaml, load_chain, save_chain
from stylefx.effects.parameters import Parameter
from stylefx.effects.presets import deepafx_st_chain
from stylefx.effects.registry import make_effect, register
from stylefx.effects.warm_up import warm_up
from stylefx.errors import UserError
from tests.support.effect_cases import VARIANTS, make
from tests.support.effect_references import programme

WHOLE_PALETTE = EffectChain(tuple(Slot(make(v), 0.9, i % 5 == 4) for i, v in enumerate(VARIANTS)))


def test_the_preset_has_twenty_four_controls_equaliser_first():
    chain = deepafx_st_chain()
    assert chain.num_controls == 24
    assert [e.name for e in chain.effects] == ["parametric_eq", "compressor"]
    assert [p.name for p in chain.parameters[18:]] == [
        "threshold_db",
        "ratio",
        "attack_ms",
        "release_ms",
        "knee_db",
        "makeup_gain_db",
    ]


def test_controls_become_settings_and_come_back():
    controls = np.random.default_rng(1).random(WHOLE_PALETTE.num_controls)
    np.testing.assert_allclose(WHOLE_PALETTE.controls(WHOLE_PALETTE.settings(controls)), controls, atol=1e-12)
    for end in (0.0, 1.0):
        for entry, effect in zip(WHOLE_PALETTE.settings(np.full(WHOLE_PALETTE.num_controls, end)), WHOLE_PALETTE.effects):
            for p in effect.parameters:
                assert entry["settings"][p.name] == pytest.approx(p.maximum if end else p.minimum)


def test_frequencies_times_ratios_and_q_are_logarithmic_and_decibels_linear():
    middle = deepafx_st_chain().settings(np.full(24, 0.5))
    assert middle[0]["settings"]["band1_cutoff_hz"] == pytest.approx((200 * 2000) ** 0.5)
    assert middle[0]["settings"]["band1_q"] == pytest.approx(1.0)
    assert middle[0]["settings"]["band1_gain_db"] == pytest.approx(0.0)
    assert middle[1]["settings"]["ratio"] == pytest.approx(20**0.5)
    assert middle[1]["settings"]["attack_ms"] == pytest.approx(10**0.5)
    assert middle[1]["settings"]["threshold_db"] == pytest.approx(-40.0)


def test_the_default_controls_are_the_neutral_settings():
    chain, audio = deepafx_st_chain(), programme(np.random.default_rng(2), 2, 3000)
    np.testing.assert_allclose(chain.render(audio, chain.settings(chain.default_controls), 24000), audio, atol=1e-7)


def test_a_chain_is_its_effects_one_after_the_other():
    chain, audio = deepafx_st_chain(), programme(np.random.default_rng(3), 2, 5000)
    settings = chain.settings(np.random.default_rng(3).random(24))
    by_hand = audio
    for effect, entry in zip(chain.effects, settings):
        by_hand = effect.render(by_hand, entry["settings"], 44100)
    np.testing.assert_array_equal(chain.render(audio, settings, 44100), by_hand)


@pytest.mark.parametrize("name", ["parametric_eq", "limiter", "saturation"])
def test_mix_blends_with_the_dry_signal_aligned_and_bypass_leaves_it(name):
    chain, rng = EffectChain.of(make_effect(name)), np.random.default_rng(4)
    audio = programme(rng, 2, 5000)
    entry = chain.settings(rng.random(chain.num_controls))[0]
    wet = chain.render(audio, [entry], 44100)
    assert np.abs(wet - audio).max() > 1e-3
    half = chain.render(audio, [{**entry, "mix": 0.25}], 44100)
    np.testing.assert_allclose(half, 0.75 * audio + 0.25 * wet, atol=1e-6)
    for dry in ({"bypass": True}, {"mix": 0.0}):
        out = chain.render(audio, [{**entry, **dry}], 44100)
        np.testing.assert_array_equal(out, audio)
        assert not np.shares_memory(out, audio)


def test_blocks_equal_the_whole_through_mixes_and_latencies():
    rng = np.random.default_rng(5)
    audio, settings = programme(rng, 2, 9000), WHOLE_PALETTE.settings(rng.random(WHOLE_PALETTE.num_controls))
    whole = WHOLE_PALETTE.start(settings, 44100, 2)
    assert whole.latency == sum(
        e.start(e.complete(None), 44100, 2).latency for i, e in enumerate(WHOLE_PALETTE.effects) if i % 5 != 4
    )
    stream = WHOLE_PALETTE.start(settings, 44100, 2)
    blocks = np.concatenate([stream(b) for b in np.split(audio, [0, 1, 700, 701, 4096], axis=1)], axis=1)
    np.testing.assert_array_equal(blocks, whole(audio))


@pytest.mark.parametrize("ending", ["yaml", "yml", "json"])
def test_chains_survive_files(tmp_path, ending):
    path = tmp_path / f"chain.{ending}"
    save_chain(WHOLE_PALETTE, path)
    again = load_chain(path)
    assert again.to_dict() == WHOLE_PALETTE.to_dict()
    assert again.parameters == WHOLE_PALETTE.parameters
    assert [(s.mix, s.bypass) for s in again.slots] == [(s.mix, s.bypass) for s in WHOLE_PALETTE.slots]
    assert json.loads(json.dumps(WHOLE_PALETTE.to_dict())) == WHOLE_PALETTE.to_dict()


def test_a_chain_written_by_hand_needs_little():
    chain = chain_from_yaml("format: stylefx-chain\nversion: 1\neffects:\n- effect: compressor\n- {effect: reverb, mix: 0.3}\n")
    assert [(s.effect.name, s.mix) for s in chain.slots] == [("compressor", 1.0), ("reverb", 0.3)]
    assert "compressor" in chain_to_yaml(chain)


HEAD = "format: stylefx-chain\nversion: 1\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("effects: []", "format: stylefx-chain"),
        ("format: stylefx-chain\nversion: 99\neffects: []", "version: 1"),
        (HEAD, "list of effects"),
        (HEAD + "effects: [{effect: compresser}]", "did you mean 'compressor'"),
        (HEAD + "effects: [{name: compressor}]", "give at least effect"),
        (HEAD + "effects: [{effect: gain, wet: 1}]", r"unknown keys \['wet'\]"),
        (HEAD + "effects: [{effect: gain, mix: 2}]", "mix is 2; give a number in 0..1"),
        (HEAD + "effects: [{effect: gain, mix: half}]", "mix is 'half'"),
        (HEAD + "effects: [{effect: limiter, config: {lookahead: 3}}]", "does not take this configuration"),
        (HEAD + "effects: [{effect: limiter, config: 3}]", "give a mapping"),
        ("a: [", "not valid YAML"),
    ],
)
def test_files_that_are_no_chain_are_refused_with_their_name(tmp_path, text, message):
    path = tmp_path / "chain.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=message) as caught:
        load_chain(path)
    assert str(path) in str(caught.value)


def test_a_missing_file_and_an_unknown_ending_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"cannot read .*none\.yaml"):
        load_chain(tmp_path / "none.yaml")
    with pytest.raises(UserError, match=r"\.yaml, \.yml or \.json"):
        save_chain(WHOLE_PALETTE, tmp_path / "chain.toml")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ([{"effect": "compressor"}], "has 2 effects, the settings have 1"),
        ([{"effect": "compressor"}, {"effect": "parametric_eq"}], "entry 0 is for 'compressor'"),
        ([{"effect": "parametric_eq", "volume": 1}, {"effect": "compressor"}], "unknown keys"),
        ([{"effect": "parametric_eq"}, {"effect": "compressor", "mix": 3}], "mix is 3"),
        ([{"effect": "parametric_eq", "config": {"ranges": "full-band"}}, {"effect": "compressor"}], "full-band"),
        ([{"effect": "parametric_eq", "settings": [1]}, {"effect": "compressor"}], "give a mapping"),
        ([{"effect": "parametric_eq", "settings": {"band1_gian_db": 1}}, {"effect": "compressor"}], "mean 'band1_gain_db'"),
    ],
)
def test_settings_that_do_not_fit_the_chain_are_refused(settings, message):
    with pytest.raises(UserError, match=message):
        deepafx_st_chain().render(np.zeros((1, 10)), settings, 24000)


@pytest.mark.parametrize("controls", [np.zeros(23), np.full(24, np.nan)])
def test_controls_that_do_not_fit_are_refused(controls):
    with pytest.raises(UserError, match="controls"):
        deepafx_st_chain().settings(controls)


def test_two_effects_cannot_share_a_name():
    with pytest.raises(ValueError, match="two effects"):

        @register
        class Impostor(Effect):
            name = "gain"
            parameters = (Parameter("gain_db", "dB", -1.0, 1.0, 0.0),)


def test_warming_up_covers_the_palette():
    warm_up()
    warm_up(["gain"])


def test_rendering_needs_neither_torch_nor_webdataset():
    """A render worker must start in a moment."""
    code = "import sys; from stylefx.effects.registry import effect_names as load; load(); print(HEAVY & set(sys.modules))"
    code = code.replace("HEAVY", "{'torch', 'webdataset', 'ray'}")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=100)
    assert done.stdout.strip() == "set()"
