"""Other programs do what our settings say: the same filters, the same static curves, the same time constants."""

from __future__ import annotations

import subprocess

import numpy as np
import pytest
import scipy.signal

from stylefx import foreign
from stylefx.effects.joint_draws import JOINT_DRAWS
from stylefx.effects.registry import make_effect
from stylefx.errors import UserError
from stylefx.foreign.sox import compand_words, effect_words
from stylefx.foreign.stages import ExpanderStage, stages_of
from stylefx.keyed import Draw
from tests.conftest import require_program

RATE = 24000
EQ = {"low_shelf_gain_db": 9.0, "low_shelf_cutoff_hz": 180.0, "band2_gain_db": -12.0, "band2_q": 3.0, "high_shelf_gain_db": 20.0}
COMPRESSOR = {"threshold_db": -30.0, "ratio": 4.0, "attack_ms": 10.0, "release_ms": 150.0, "knee_db": 0.0, "makeup_gain_db": 6.0}
EXPANDER = {"threshold_db": -20.0, "ratio": 3.0, "attack_ms": 5.0, "release_ms": 100.0, "knee_db": 0.0, "range_db": 30.0}


@pytest.fixture(params=foreign.PROGRAMS)
def program(request) -> str:
    if request.param == "pedalboard":
        pytest.importorskip("pedalboard")
    else:
        require_program(request.param, f"apt-get install {request.param}")
    return request.param


def noise(seconds: float = 2.0, channels: int = 1) -> np.ndarray:
    return (0.1 * np.random.default_rng(0).standard_normal((channels, round(seconds * RATE)))).astype(np.float32)


def tone(level_dbfs: float, seconds: float = 2.0) -> np.ndarray:
    """A square wave: its level is its peak at every sample, whatever a program takes for a level."""
    wave = np.sign(np.sin(2 * np.pi * 500 * (np.arange(round(seconds * RATE)) + 0.5) / RATE))
    return (10 ** (level_dbfs / 20) * wave)[None].astype(np.float32)


def test_equalisers_are_the_same_filters(program):
    """Against scipy in double precision."""
    audio, effect = noise(channels=2), make_effect("parametric_eq")
    sections = effect.sections(effect.complete(EQ), RATE)
    expected = scipy.signal.sosfilt(sections, audio.astype(np.float64), axis=1)
    found = foreign.render(program, audio, [{"effect": "parametric_eq", "settings": EQ}], RATE)
    assert found.shape == audio.shape
    error = np.sqrt(np.mean((found - expected) ** 2) / np.mean(expected**2))
    assert error < {"pedalboard": 1e-3, "sox": 1e-6, "ffmpeg": 1e-6}[program]


@pytest.mark.parametrize("level", [-60.0, -36.0, -24.0, -12.0])
def test_a_steady_tone_leaves_the_compressor_at_the_static_curves_level(program, level):
    found = foreign.render(program, tone(level), [{"effect": "compressor", "settings": COMPRESSOR}], RATE)
    over = max(0.0, level - COMPRESSOR["threshold_db"])
    expected = level - over * (1 - 1 / COMPRESSOR["ratio"]) + COMPRESSOR["makeup_gain_db"]
    assert 20 * np.log10(np.abs(found[0, -2400:]).max()) == pytest.approx(expected, abs=0.1)


@pytest.mark.parametrize(("level", "expected"), [(-10.0, -10.0), (-25.0, -35.0), (-60.0, -90.0)])
def test_sox_expands_below_the_threshold_down_to_its_range(level, expected):
    require_program("sox", "apt-get install sox")
    found = foreign.render("sox", tone(level), [{"effect": "expander", "settings": EXPANDER}], RATE)
    assert 20 * np.log10(np.abs(found[0, -2400:]).max()) == pytest.approx(expected, abs=0.1)


def test_time_constants_are_ours(program):
    """A step from below to above the threshold: the time of 10 to 90 % of the reduction, within what other smoothing makes."""
    audio = np.concatenate([tone(-40.0, 0.5), tone(-10.0, 0.5)], axis=1)
    settings = {**COMPRESSOR, "attack_ms": 50.0}
    ours, theirs = (
        20 * np.log10(np.abs(x[0, RATE // 2 :]).reshape(-1, 24).max(axis=1))
        for x in (
            make_effect("compressor").render(audio, settings, RATE),
            foreign.render(program, audio, [{"effect": "compressor", "settings": settings}], RATE),
        )
    )
    rise = [np.argmax(x < x[0] - 0.9 * (x[0] - x[-1])) - np.argmax(x < x[0] - 0.1 * (x[0] - x[-1])) for x in (ours, theirs)]
    assert rise[0] == pytest.approx(50, abs=2)
    assert 0.4 < rise[1] / rise[0] < 2.5


def test_sox_clips_without_headroom_and_not_with_it():
    require_program("sox", "apt-get install sox")
    loud = [{"effect": "parametric_eq", "settings": {"band1_gain_db": 24.0, "band1_cutoff_hz": 500.0}}]
    audio = 0.5 * tone(0.0)
    assert np.abs(foreign.render("sox", audio, loud, RATE, headroom=False)).max() <= 1.0
    ours = make_effect("parametric_eq").render(audio, loud[0]["settings"], RATE)
    assert np.abs(foreign.render("sox", audio, loud, RATE) - ours).max() < 1e-5 * np.abs(ours).max()


def test_mix_and_bypass_are_heeded(program):
    audio = noise(0.5)
    wet = foreign.render(program, audio, [{"effect": "parametric_eq", "settings": EQ}], RATE)
    half = foreign.render(program, audio, [{"effect": "parametric_eq", "settings": EQ, "mix": 0.5}], RATE)
    assert np.abs(half - (audio + wet) / 2).max() < 1e-5
    assert np.array_equal(
        foreign.render(program, audio, [{"effect": "parametric_eq", "settings": EQ, "bypass": True}], RATE), audio
    )


def test_a_missing_program_is_one_sentence_with_the_cure(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UserError, match=r"sox, which is not installed: apt-get install sox") as caught:
        foreign.preflight("sox")
    assert "\n" not in str(caught.value)


def test_effects_without_a_counterpart_are_refused_by_name():
    with pytest.raises(UserError, match="sox has no counterpart of the effect 'reverb'"):
        foreign.check_effects("sox", ["parametric_eq", "reverb"])
    with pytest.raises(UserError, match="there is no engine 'audacity'"):
        foreign.preflight("audacity")


@pytest.mark.parametrize("name", ["compressor", "expander"])
def test_the_papers_draws_reach_sox_as_the_numbers_that_were_drawn(name):
    def quantities(what):
        return Draw(3, what, "key")

    drawn = JOINT_DRAWS[f"deepafx-st-{name}"].draw(quantities, RATE)
    settings = make_effect(name).complete(JOINT_DRAWS[f"paper-sox-{name}"].draw(quantities, RATE))
    stage = stages_of(make_effect(name), settings, RATE)[0]
    assert isinstance(stage, ExpanderStage) == (name == "expander")
    words = compand_words(stage, stage.threshold_db)
    attack, release = map(float, words[1].split(","))
    assert attack == pytest.approx(drawn["attack_ms"] / 1000)
    assert release == pytest.approx(drawn["release_ms"] / 1000)
    assert float(words[2].split(":")[0]) == pytest.approx(max(drawn["knee_db"], 0.01))


def test_sox_takes_the_arguments_as_a_command_line_too(tmp_path):
    program = require_program("sox", "apt-get install sox")
    effect = make_effect("compressor")
    words, _ = effect_words(stages_of(effect, effect.complete(COMPRESSOR), RATE), 0.0)
    done = subprocess.run(
        [program, "-n", "-r", str(RATE), str(tmp_path / "x.wav"), "synth", "1", "sine", "500", *words], check=False
    )
    assert done.returncode == 0
