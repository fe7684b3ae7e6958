"""How much of each stage, references weighted apart, what is bounded and said, and the distances before and after."""

import json

import numpy as np
import pytest
import soundfile

from stylefx.effects.chain import EffectChain
from stylefx.effects.presets import deepafx_st_chain
from stylefx.errors import UserError
from stylefx.inference.hearing.amounts import apply_amounts, parse_amounts, with_amounts
from stylefx.inference.hearing.apart import dynamics_controls, predict_apart
from stylefx.inference.hearing.predict import predict
from stylefx.inference.hearing.restraint import MOST_BOOST_DB, bound_boost, limited_line, third_octaves
from stylefx.inference.hearing.windows import analyse
from stylefx.inference.settings_file import load_settings
from tests.inference.conftest import speech_like, write

RATE = 24000


@pytest.fixture
def tool(checkpoint):
    from stylefx.inference.transfer import StyleTransfer

    return StyleTransfer(checkpoint)


@pytest.fixture
def recordings(tmp_path):
    return [write(tmp_path / f"{i}.wav", speech_like(3, RATE, seed=i, pitch_hz=90.0 + 60 * i), RATE) for i in range(3)]


def drawn(seed: int = 1):
    chain = deepafx_st_chain()
    return chain, chain.complete(chain.settings(np.random.default_rng(seed).uniform(0.2, 0.8, chain.num_controls)))


@pytest.mark.parametrize(
    ("stage", "left"), [("equaliser", 1), ("tone", 1), ("compressor", 0), ("dynamics", 0), ("parametric_eq", 1)]
)
def test_amount_zero_of_a_stage_gives_the_bytes_without_it(stage, left):
    chain, settings = drawn()
    audio = speech_like(1, RATE, channels=2)
    without = EffectChain((chain.slots[left],)).render(audio, [settings[left]], RATE)
    np.testing.assert_array_equal(chain.render(audio, apply_amounts(chain, settings, ((stage, 0.0),)), RATE), without)


def test_amounts_of_one_change_nothing_and_half_halves_the_decibels():
    chain, settings = drawn()
    assert apply_amounts(chain, settings, (("tone", 1.0), ("dynamics", 1.0))) == settings
    half = apply_amounts(chain, settings, (("equaliser", 0.5),))
    assert half[0]["settings"]["band1_gain_db"] == 0.5 * settings[0]["settings"]["band1_gain_db"]
    assert half[1] == settings[1]


@pytest.mark.parametrize(
    ("text", "message"), [("equaliser", "STAGE=NUMBER"), ("equalizer=1", "did you mean 'equaliser'"), ("tone=2", r"0\.\.1\.5")]
)
def test_amounts_that_make_no_sense_are_refused(text, message):
    with pytest.raises(UserError, match=message):
        apply_amounts(*drawn(), parse_amounts(text))


def test_amounts_are_in_the_settings_file_and_can_be_changed_afterwards(tmp_path, command, checkpoint, recordings):
    args = ("transfer", *recordings[:2], "--model", checkpoint, "--loudness", "as-is")
    assert command(*args, "-o", tmp_path / "half.wav", "--amount", "compressor=0.5")[0] == 0
    assert command(*args, "-o", tmp_path / "full.wav")[0] == 0
    assert json.loads((tmp_path / "half.json").read_text())["about"]["amounts"] == {"compressor": 0.5}
    half, full = load_settings(tmp_path / "half.json"), load_settings(tmp_path / "full.json")
    assert half.settings[1] != full.settings[1]
    for back, wanted in zip(with_amounts(half, (("compressor", 1.0),)).settings[:2], full.settings[:2], strict=True):
        assert back["settings"] == pytest.approx(wanted["settings"], abs=1e-9)
    again = (
        "render",
        recordings[0],
        "--settings",
        tmp_path / "half.json",
        "-o",
        tmp_path / "again.wav",
        "--amount",
        "compressor=1",
    )
    assert command(*again)[0] == 0
    a, b = (soundfile.read(tmp_path / name)[0] for name in ("again.wav", "full.wav"))
    np.testing.assert_allclose(a / np.abs(a).max(), b / np.abs(b).max(), atol=1e-4)


def test_references_are_weighted_apart_for_tone_and_dynamics(tool, recordings):
    source, *styles = (tool.hear(r) for r in recordings)
    mixed = predict_apart(tool.model, source, styles, (1.0, 0.0), (0.0, 1.0)).controls
    first, second = (predict(tool.model, source, styles, w).controls for w in ((1.0, 0.0), (0.0, 1.0)))
    dynamics = dynamics_controls(tool.model.chain)
    assert dynamics.sum() == 6
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(mixed[dynamics], second[dynamics])
    np.testing.assert_array_equal(mixed[~dynamics], first[~dynamics])
    np.testing.assert_allclose(first, predict(tool.model, source, styles[:1], ()).controls, atol=1e-5)


def low_passed(path, cutoff_hz: float):
    audio = speech_like(6, RATE, seed=1)
    spectrum = np.fft.rfft(audio)
    spectrum[:, np.fft.rfftfreq(audio.shape[1], 1 / RATE) > cutoff_hz] = 0
    return write(path, np.fft.irfft(spectrum, audio.shape[1]).astype(np.float32), RATE)


def test_boost_where_the_input_has_no_energy_is_bounded_and_said(tmp_path):
    chain, settings = deepafx_st_chain(), deepafx_st_chain().complete(None)
    settings[0]["settings"].update(high_shelf_gain_db=18.0, high_shelf_cutoff_hz=5000.0, band4_gain_db=9.0, low_shelf_gain_db=4.0)
    heard = analyse(low_passed(tmp_path / "low.wav", 3400.0), RATE, 2 * RATE, 2)
    bounded, limits = bound_boost(chain, settings, heard, RATE)
    centres, levels = third_octaves(heard, RATE)
    response = chain.effects[0].response_db(bounded[0]["settings"], centres, RATE)
    empty = levels < -65
    assert empty[centres > 4500].all()
    assert not empty[(centres > 150) & (centres < 3000)].any()
    assert (response[empty] - response[~empty].mean()).max() <= MOST_BOOST_DB + 0.1
    assert bounded[0]["settings"]["low_shelf_gain_db"] == 4.0
    assert {limit.parameter for limit in limits} <= {"high_shelf_gain_db", "band4_gain_db"}
    assert limited_line(limits[0].to_dict()).startswith("limited because the input has no energy around")


def test_boost_where_there_is_energy_is_left_alone(tmp_path):
    chain, settings = deepafx_st_chain(), deepafx_st_chain().complete(None)
    settings[0]["settings"].update(high_shelf_gain_db=18.0)
    heard = analyse(write(tmp_path / "a.wav", speech_like(6, RATE, seed=1), RATE), RATE, 2 * RATE, 2)
    assert bound_boost(chain, settings, heard, RATE) == (settings, [])


def test_the_distances_before_and_after_are_told(tmp_path, command, checkpoint, recordings):
    status, text, _ = command("transfer", *recordings[:2], "-o", tmp_path / "out.wav", "--model", checkpoint)
    assert status == 0
    assert "balance distance to spectrum and dynamics of the references:" in text
    found = load_settings(tmp_path / "out.json").about["distances"]["balance"]
    assert found["before"] > 0
    assert found["after"] > 0
    same, _, _ = command("transfer", recordings[0], recordings[0], "-o", tmp_path / "same.wav", "--model", checkpoint)
    assert same == 0
    assert load_settings(tmp_path / "same.json").about["distances"]["balance"]["before"] < 1e-5


def test_the_shipped_model_names_its_intent_and_tells_both_distances(tmp_path, command, recordings):
    status, text, _ = command("transfer", *recordings[:2], "-o", tmp_path / "out.wav")
    assert status == 0
    about = load_settings(tmp_path / "out.json").about
    if about["intent"]:
        assert f"intent: {about['intent']}" in text
        assert about["distances"]["style"]["after"] <= about["distances"]["style"]["before"]
