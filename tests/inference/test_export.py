"""Exported files run in the real programs and sound like our render; what they cannot express they say."""

import subprocess
import sys

import numpy as np
import pytest
import soundfile

from stylefx.effects.presets import deepafx_st_chain
from stylefx.errors import UserError
from stylefx.inference.export import TARGETS, export_text
from stylefx.inference.settings_file import StyleSettings
from tests.inference import eel2
from tests.inference.conftest import speech_like, write

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
    script, source, out = folder / f"style{TARGETS[target][1]}", folder / "in.wav", folder / "out.wav"
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


ALL = pytest.mark.parametrize("program", list(TARGETS), indirect=True)
#: dB; 24-bit files limit ffmpeg, 32-bit integers SoX, single precision pedalboard
EQ_LIMIT = {"ffmpeg": -100, "sox": -100, "pedalboard": -80, "reaper": -120}
SECONDS = {"ffmpeg": 3.0, "sox": 3.0, "pedalboard": 3.0, "reaper": 0.15}  # the interpreter takes its time
#: dB; the dynamics of other programs are other dynamics
LIMIT = {"ffmpeg": -20, "sox": -20, "pedalboard": -12, "reaper": -110}


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
    tolerance = {"reaper": 1e-4, "pedalboard": 1.6, "ffmpeg": 0.35, "sox": 0.6}[program]  # pedalboard: a hard knee
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


def test_a_clamped_cutoff_is_said():
    text = export_text(style({"high_shelf_gain_db": 3.0, "high_shelf_cutoff_hz": 10000.0}, rate=16000), "ffmpeg")
    assert "10000 Hz is above 0.9 Nyquist" in text
    assert "f=7200:" in text


@pytest.mark.parametrize("target", list(TARGETS))
def test_effects_without_a_counterpart_are_refused(target):
    from stylefx.effects.chain import EffectChain
    from stylefx.effects.registry import make_effect

    with pytest.raises(UserError, match="expander"):
        export_text(StyleSettings.of(EffectChain.of(make_effect("expander")), None), target)


def test_the_command_writes_the_file(tmp_path, command):
    style(EQ, COMPRESSOR).save(tmp_path / "s.json")
    status, text, _ = command("export", tmp_path / "s.json", "--to", "reaper", "-o", tmp_path / "s.jsfx")
    assert status == 0
    assert "REAPER" in text
    assert (tmp_path / "s.jsfx").read_text() == export_text(style(EQ, COMPRESSOR), "reaper")
