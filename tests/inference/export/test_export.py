"""Exported files run in the real programs and sound like our render; what they cannot express they say."""

import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from stylefx.effects.chain import EffectChain
from stylefx.effects.palette.parametric_eq import ParametricEq
from stylefx.effects.presets import deepafx_st_chain
from stylefx.effects.registry import effect_names, make_effect
from stylefx.errors import UserError
from stylefx.inference.export import TARGETS, export_text
from stylefx.inference.settings_file import StyleSettings
from tests.inference.conftest import speech_like, write
from tests.support import eel2

RATE = 44100
EQ = {
    "low_shelf_gain_db": 5.0, "low_shelf_cutoff_hz": 110.0, "band1_gain_db": -6.0, "band1_cutoff_hz": 450.0, "band1_q": 1.4,
    "band2_gain_db": 4.0, "band2_cutoff_hz": 1800.0, "band3_gain_db": -3.0, "band4_gain_db": 7.5, "band4_q": 3.0,
    "high_shelf_gain_db": 6.0, "high_shelf_cutoff_hz": 9000.0, "high_shelf_q": 0.6,
}  # fmt: skip
COMPRESSOR = {
    "threshold_db": -32.0, "ratio": 4.0, "attack_ms": 12.0, "release_ms": 150.0, "knee_db": 8.0, "makeup_gain_db": 7.0,
}  # fmt: skip


def style(eq: dict | None = None, compressor: dict | None = None, rate: float = RATE, gain_db: float = 0.0) -> StyleSettings:
    settings = [{"effect": "parametric_eq", "settings": eq or {}}, {"effect": "compressor", "settings": compressor or {}}]
    return StyleSettings.of(deepafx_st_chain(), settings, sample_rate=float(rate), output_gain_db=gain_db)


def ours(wanted: StyleSettings, audio: np.ndarray, rate: float = RATE) -> np.ndarray:
    return wanted.chain.render(audio, wanted.settings, rate) * 10 ** (wanted.output_gain_db / 20)


def difference_db(out: np.ndarray, expected: np.ndarray) -> float:
    """RMS of the difference relative to the expected signal."""
    assert out.shape == expected.shape
    return 10 * np.log10(np.mean((out - expected) ** 2.0) / np.mean(np.square(expected, dtype=float)))


def through(target: str, wanted: StyleSettings, audio: np.ndarray, folder, rate: int = RATE) -> np.ndarray:
    """The audio through the exported file, run as its user runs it."""
    text = export_text(wanted, target)
    if target == "reaper":
        stereo = np.concatenate([audio, audio]) if audio.shape[0] == 1 else audio
        return eel2.run(text, stereo, rate)[: audio.shape[0]]
    script, source, out = folder / f"style{TARGETS[target].suffix}", folder / "in.wav", folder / "out.wav"
    script.write_text(text)
    write(source, audio, rate)
    program = ["sh"] if target in ("ffmpeg", "sox") else [sys.executable]
    done = subprocess.run([*program, script, source, out], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return soundfile.read(out, always_2d=True, dtype="float64")[0].T


@pytest.fixture
def program(request):
    if request.param in ("ffmpeg", "sox"):
        request.getfixturevalue(request.param)
    elif request.param == "pedalboard":
        pytest.importorskip("pedalboard")
    return request.param


ALL = pytest.mark.parametrize("program", ["ffmpeg", "sox", "pedalboard", "reaper"], indirect=True)
#: dB; 24-bit files limit ffmpeg, 32-bit integers SoX, single precision pedalboard
EQ_LIMIT = {"ffmpeg": -100, "sox": -100, "pedalboard": -80, "reaper": -120}
SECONDS = {"ffmpeg": 3.0, "sox": 3.0, "pedalboard": 3.0, "reaper": 0.15}  # the interpreter takes its time
#: dB; the dynamics of other programs are other dynamics
LIMIT = {"ffmpeg": -29.5, "sox": -29.5, "pedalboard": -29.5, "reaper": -110}


@ALL
@pytest.mark.parametrize("channels", [1, 2])
def test_equaliser_and_gain_are_the_same(tmp_path, program, channels):
    audio = 0.3 * speech_like(SECONDS[program], RATE, seed=1, channels=channels)
    wanted = style(EQ, gain_db=-4.5)
    assert difference_db(through(program, wanted, audio, tmp_path), ours(wanted, audio)) < EQ_LIMIT[program]


@ALL
def test_the_whole_chain_is_close(tmp_path, program):
    audio = 0.5 * speech_like(SECONDS[program], RATE, seed=1, channels=2)
    wanted = style(EQ, COMPRESSOR, gain_db=-6.0)
    dry = difference_db(audio, ours(wanted, audio))
    assert difference_db(through(program, wanted, audio, tmp_path), ours(wanted, audio)) < LIMIT[program]
    assert dry > -8, "the chain must do something in this test"


@ALL
@pytest.mark.parametrize("level_db", [-45.0, -33.0, -29.0, -15.0, -3.0])
def test_the_static_curve_is_the_same(tmp_path, program, level_db):
    """A steady tone, attack and release over: levels below, inside and above the knee."""
    rate = 8000 if program == "reaper" else RATE
    seconds = 0.15 if program == "reaper" else 1.2
    t = np.arange(round(seconds * rate)) / rate
    # A slow release holds the crest's reduction in all designs, so a sine reads as its peak.
    audio = (10 ** (level_db / 20) * np.sin(2 * np.pi * 1000 * t + 0.3))[None].astype(np.float32)
    wanted = style(None, {**COMPRESSOR, "attack_ms": 1.0, "release_ms": 500.0, "makeup_gain_db": 2.0})
    out, expected = through(program, wanted, audio, tmp_path, rate), ours(wanted, audio, rate)
    tail = slice(round(0.75 * seconds * rate), None)
    got, want = (20 * np.log10(np.abs(x[0, tail]).max()) for x in (out, expected))
    # fitted to programmes, whose level moves: a steady tone comes out a little otherwise
    tolerance = {"reaper": 1e-4, "pedalboard": 2.6, "ffmpeg": 2.6, "sox": 2.6}[program]
    assert got == pytest.approx(want, abs=tolerance)


@pytest.mark.parametrize(("attack_ms", "release_ms"), [(0.1, 5.0), (100.0, 30.0), (20.0, 1000.0)])
def test_reaper_carries_our_exact_dynamics(attack_ms, release_ms):
    audio = speech_like(0.2, 24000, seed=1, channels=2)
    wanted = style(EQ, {**COMPRESSOR, "attack_ms": attack_ms, "release_ms": release_ms, "knee_db": 0.0}, rate=24000)
    assert difference_db(through("reaper", wanted, audio, None, 24000), ours(wanted, audio, 24000)) < -110


def test_reaper_sliders_move_the_sound():
    """Every slider's default is a setting; moving one renders what those settings render, at another rate too."""
    audio = speech_like(0.15, 32000, seed=1, channels=2)
    text = export_text(style(EQ, COMPRESSOR), "reaper")
    labels = [line.split(">")[1] for line in text.splitlines() if line.startswith("slider")]
    moved = eel2.run(text, audio, 32000, {labels.index("threshold (dB)") + 1: -45.0, labels.index("band1 gain (dB)") + 1: 9.0})
    wanted = style({**EQ, "band1_gain_db": 9.0}, {**COMPRESSOR, "threshold_db": -45.0}, rate=32000)
    assert difference_db(moved, ours(wanted, audio, 32000)) < -110


@pytest.mark.parametrize("program", ["ffmpeg", "sox"], indirect=True)
def test_thresholds_beyond_a_programs_range_still_work(tmp_path, program):
    audio = 0.02 * speech_like(2.0, RATE)
    wanted = style(None, {**COMPRESSOR, "threshold_db": -75.0})
    assert difference_db(through(program, wanted, audio, tmp_path), ours(wanted, audio)) < -14


@pytest.mark.parametrize(
    ("target", "words"), [("ffmpeg", "smooths the level"), ("sox", "smooths"), ("pedalboard", "knee is hard")]
)
def test_the_file_says_what_it_cannot_express(target, words):
    assert words in export_text(style(EQ, COMPRESSOR), target)


@ALL
def test_bands_that_a_low_rate_cannot_hold_sound_as_we_render_them(tmp_path, program):
    """At 8 kHz: a shelf and two peaks above 3.6 kHz, one of them narrow and just above."""
    audio = speech_like(SECONDS[program], 8000)
    high = {
        "band3_cutoff_hz": 3650.0,
        "band3_q": 6.0,
        "band4_cutoff_hz": 5000.0,
        "high_shelf_cutoff_hz": 9500.0,
        "high_shelf_q": 0.4,
    }
    wanted = style(EQ | high, None, rate=8000)
    out, expected = through(program, wanted, audio, tmp_path, 8000), ours(wanted, audio, 8000)
    assert difference_db(out, expected) < {**EQ_LIMIT, "pedalboard": -60}[program]
    if program != "reaper":
        assert "5000 Hz is above 0.9 Nyquist of 8000 Hz audio" in export_text(wanted, program)


def test_a_reaper_plug_in_follows_the_rate_it_runs_at():
    """Every kind of band, damped and not, at rates that can and cannot hold it."""
    kinds = ("peak", "low_shelf", "high_shelf", "high_pass", "low_pass", "notch")
    equaliser = ParametricEq(bands=[{"name": kind, "kind": kind} for kind in kinds])
    chain = EffectChain.of(equaliser)
    for q in (0.3, 0.5, 4.0):
        values = {f"{kind}_q": q for kind in kinds} | {f"{kind}_cutoff_hz": 5000.0 for kind in kinds}
        values |= {"peak_gain_db": 9.0, "low_shelf_gain_db": -6.0, "high_shelf_gain_db": 12.0}
        wanted = StyleSettings.of(chain, [{"effect": "parametric_eq", "settings": values}])
        text = export_text(wanted, "reaper")
        for rate in (8000, 24000):
            audio = speech_like(0.1, rate)
            out = eel2.run(text, np.concatenate([audio, audio]), rate)[:1]
            assert difference_db(out, chain.render(audio, wanted.settings, rate)) < -110


def test_a_clamped_cutoff_is_said():
    bands = [{"name": "air", "kind": "high_shelf", "range_hz": [1000, 40000]}]
    settings = [{"effect": "parametric_eq", "settings": {"air_gain_db": 3.0, "air_cutoff_hz": 30000.0}}]
    wanted = StyleSettings.of(EffectChain.of(ParametricEq(bands=bands)), settings, sample_rate=48000.0)
    text = export_text(wanted, "ffmpeg")
    assert "30000 Hz is above 0.9 Nyquist" in text
    assert "f=21600:" in text
    assert wanted.clamped() == [{"air_cutoff_hz": 21600.0}]


@pytest.mark.parametrize("target", [name for name in TARGETS if name not in ("reaper", "dawproject")])
def test_effects_without_a_counterpart_are_refused(target):
    with pytest.raises(UserError, match="expander"):
        export_text(StyleSettings.of(EffectChain.of(make_effect("expander")), None), target)


@pytest.mark.parametrize("name", effect_names())
def test_every_effect_of_the_palette_is_exact_as_a_reaper_plug_in(name):
    """With settings that are heard, mixed with the dry signal, at rates that hold every cutoff and that do not."""
    effect = make_effect(name)
    chain = EffectChain.of(effect)
    rng = np.random.default_rng(sum(name.encode()))
    for rate, seconds in ((8000, 0.06), (44100, 0.03)):
        controls = rng.uniform(0.3, 0.7, chain.num_controls)
        settings = chain.settings(controls)
        settings[0]["mix"] = 0.75
        wanted = StyleSettings.of(chain, settings, sample_rate=float(rate), output_gain_db=-3.0)
        audio = speech_like(seconds, rate, seed=1, channels=2)
        out = eel2.run(export_text(wanted, "reaper"), audio, rate)
        assert difference_db(out, ours(wanted, audio, rate)) < -120
        assert difference_db(audio * 10 ** (-3 / 20), out) > -90, "the effect must do something in this test"


def test_fitted_compressors_say_how_close_they_come():
    for target in ("ffmpeg", "sox", "pedalboard", "lv2"):
        found = re.search(
            r"fitted to ours: (-[\d.]+) dB difference on a test signal \((-[\d.]+) dB", export_text(style(EQ, COMPRESSOR), target)
        )
        after, before = float(found[1]), float(found[2])
        assert after < -28
        assert after < before - 6


def test_an_export_is_named_after_its_style():
    wanted = replace(style(EQ, COMPRESSOR), about={"references": [{"path": "/songs/Loud & \n*/Clear.wav"}]})
    assert export_text(wanted, "reaper").startswith("desc: stylefx style of Clear\n")
    for target in ("ffmpeg", "faust", "equalizer-apo", "lv2"):
        assert "stylefx style of Clear" in export_text(wanted, target)


def test_the_command_writes_the_file(tmp_path, command):
    style(EQ, COMPRESSOR).save(tmp_path / "s.json")
    status, text, _ = command("export", tmp_path / "s.json", "--to", "reaper", "-o", tmp_path / "s.jsfx")
    assert status == 0
    assert "REAPER" in text
    assert (tmp_path / "s.jsfx").read_text() == export_text(style(EQ, COMPRESSOR), "reaper")
