"""Pitch and tempo engines: exact length, exact pitch, in time with the input, the same samples at every call."""

from __future__ import annotations

import re
import subprocess
import sys

import numpy as np
import pytest

from benchmarks.engine_measures import sine_level_error_db
from benchmarks.quality_screen import runner
from stylefx.audio import DEFAULT_ENGINE, engine_names, pitch_tempo, preflight
from stylefx.errors import UserError
from stylefx.extras import install_line
from tests.conftest import require_program
from tests.support.signals import cents, measure_frequency_hz, sine, speech_like

SETTINGS = [(0.0, 0.8), (0.0, 1.2), (200.0, 1.0), (-200.0, 1.0), (137.0, 0.9), (-90.0, 1.13)]


RUBBER_BAND = ("rubberband", "pyrubberband")  # a process per call


@pytest.fixture(params=engine_names())
def engine(request):
    if request.param in RUBBER_BAND:
        require_program("rubberband", "apt-get install rubberband-cli (macOS: brew install rubberband)")
    return request.param


@pytest.mark.parametrize(("pitch_cents", "tempo"), SETTINGS)
def test_length_is_exact_and_samples_are_reproducible(engine, pitch_cents, tempo):
    audio = speech_like(24001, 24000, 2)
    first = pitch_tempo(audio, 24000, pitch_cents, tempo, engine=engine)
    assert first.dtype == np.float32
    assert first.shape == (2, int(np.floor(24001 / tempo + 0.5)))
    np.testing.assert_array_equal(pitch_tempo(audio, 24000, pitch_cents, tempo, engine=engine), first)
    assert pitch_tempo(audio, 24000, pitch_cents, tempo, out_frames=20000, engine=engine).shape == (2, 20000)


@pytest.mark.parametrize("rate", [24000, 44100])
@pytest.mark.parametrize(("pitch_cents", "tempo"), [*SETTINGS, (50.0, 1.0), (-1200.0, 1.0), (700.0, 0.8)])
def test_pitch_is_within_one_cent(engine, rate, pitch_cents, tempo):
    for frequency_hz in (220.0, 443.7, 1000.0, 3010.0):
        tone = sine(frequency_hz, 2 * rate, rate)
        out = pitch_tempo(tone, rate, pitch_cents, tempo, engine=engine)[0]
        got = measure_frequency_hz(out[rate // 4 : -rate // 4], rate)
        assert abs(cents(got, frequency_hz) - pitch_cents) < 1.0
        if engine in RUBBER_BAND:
            break


@pytest.mark.parametrize("rate", [24000, 44100])
@pytest.mark.parametrize(("pitch_cents", "tempo"), SETTINGS)
def test_onsets_are_where_the_tempo_puts_them(engine, rate, pitch_cents, tempo):
    onsets_s = (0.05, 0.5, 1.5, 1.95)
    clicks = np.zeros((1, 2 * rate), np.float32)
    clicks[0, [int(o * rate) for o in onsets_s]] = 1.0
    energy = pitch_tempo(clicks, rate, pitch_cents, tempo, engine=engine)[0].astype(np.float64) ** 2
    for onset_s in onsets_s:
        expected = int(onset_s * rate) / tempo
        start = max(0, int(expected) - rate // 20)
        window = energy[start : int(expected) + rate // 20]
        centre = start + np.sum(window * np.arange(len(window))) / window.sum()
        assert abs(centre - expected) / rate < 0.0015


@pytest.mark.parametrize(("pitch_cents", "tempo"), [(0.0, 1.2), (-150.0, 0.85)])
def test_the_phase_between_channels_is_kept(engine, pitch_cents, tempo):
    """The right channel is the left, quieter: it must stay so, or the stereo image collapses. Rubber Band's R3 decides for
    each channel by itself where phases start anew; after rounding to 16 bits the channels differ in that."""
    left = speech_like(48000, 24000)[0]
    out = pitch_tempo(np.stack([left, 0.5 * left]), 24000, pitch_cents, tempo, engine=engine)
    error = out[1] - 0.5 * out[0]
    limit = {"rubberband": 0.1, "pyrubberband": 0.5}.get(engine, 1e-4)
    assert np.sqrt(np.mean(error**2)) < limit * np.sqrt(np.mean(out[1] ** 2))


def test_level_is_kept(engine):
    audio = speech_like(48000, 24000)
    for pitch_cents, tempo in SETTINGS:
        out = pitch_tempo(audio, 24000, pitch_cents, tempo, engine=engine)
        assert abs(20 * np.log10(np.std(out) / np.std(audio))) < 0.7


@pytest.mark.parametrize("amplitude", [1e-20, 1e-6, 100.0, 1e20])
def test_a_sine_keeps_its_level_however_loud_or_faint(engine, amplitude):
    """Rubber Band's program cuts off at 1, Signalsmith loses what is near 1e-6."""
    assert abs(sine_level_error_db(runner(engine), 24000, amplitude)) < 0.15


def test_peaks_above_the_input_are_not_cut_off(engine):
    """Fifty harmonics with the phases of a low crest (M. Schroeder 1970) come back in other phases, so with higher peaks."""
    k = np.arange(1, 51)
    t = np.arange(48000)[:, None] / 24000
    audio = np.cos(2 * np.pi * 100.0 * k * t - np.pi * k**2 / 50).sum(axis=1).astype(np.float32)[None]
    audio *= np.float32(1.0 / np.abs(audio).max())
    out = pitch_tempo(audio, 24000, 150.0, 0.9, engine=engine)[:, 6000:-6000]
    assert np.abs(out).max() > 1.05
    assert abs(20 * np.log10(np.std(out) / np.std(audio))) < 0.5


@pytest.mark.parametrize("exponent", [-40, 9])
def test_a_power_of_two_more_in_is_as_much_more_out_to_the_bit(engine, exponent):
    audio = speech_like(24000, 24000, 2)
    scaled = pitch_tempo(np.ldexp(audio, exponent), 24000, 130.0, 0.87, engine=engine)
    np.testing.assert_array_equal(scaled, np.ldexp(pitch_tempo(audio, 24000, 130.0, 0.87, engine=engine), exponent))


@pytest.mark.parametrize(
    ("pitch_cents", "tempo", "options"),
    [
        (130.0, 0.87, ["--tempo", "0.87", "--pitch", "1.3"]),
        (0.0, 0.87, ["--tempo", "0.87"]),
        (130.0, 1.0, ["--pitch", "1.3"]),
    ],
)
def test_pyrubberband_runs_its_program_once_with_r3(monkeypatch, pitch_cents, tempo, options):
    require_program("rubberband", "apt-get install rubberband-cli (macOS: brew install rubberband)")
    import pyrubberband

    calls = []
    run = pyrubberband.pyrb.subprocess.check_call
    monkeypatch.setattr(pyrubberband.pyrb.subprocess, "check_call", lambda line, **more: (calls.append(line), run(line, **more)))
    pitch_tempo(speech_like(24000, 24000), 24000, pitch_cents, tempo, engine="pyrubberband")
    assert len(calls) == 1
    assert "--fine" in calls[0]
    pairs = list(zip(calls[0], calls[0][1:], strict=False))
    for option, value in zip(options[::2], options[1::2], strict=True):
        assert (option, value) in pairs
    assert ("--pitch" in calls[0], "--tempo" in calls[0]) == ("--pitch" in options, "--tempo" in options)


def test_a_program_that_fails_ends_in_one_sentence(monkeypatch, tmp_path):
    program = tmp_path / "rubberband"
    program.write_text('#!/bin/sh\n[ "$1" = --version ] && echo 3.1.2 && exit 0\necho broken >&2\nexit 3\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    for name in RUBBER_BAND:
        with pytest.raises(UserError, match="failed"):
            pitch_tempo(speech_like(9000, 24000), 24000, 100.0, 1.1, engine=name)


@pytest.mark.parametrize("frames", [0, 1, 6, 500, 3000])
def test_tiny_inputs(engine, frames):
    out = pitch_tempo(speech_like(max(frames, 1), 24000)[:, :frames], 24000, 100.0, 1.1, engine=engine)
    assert out.shape == (1, int(np.floor(frames / 1.1 + 0.5)))
    assert np.isfinite(out).all()


def test_no_change_is_a_copy(engine):
    audio = speech_like(1000, 24000)
    out = pitch_tempo(audio, 24000, 0.0, 1.0, engine=engine)
    np.testing.assert_array_equal(out, audio)
    assert not np.shares_memory(out, audio)


def test_preflight_tells_the_version(engine):
    assert engine in preflight(engine)
    assert preflight(DEFAULT_ENGINE)


def test_preflight_names_the_line_that_installs_what_is_missing(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "python_stretch.Signalsmith", None)
    with pytest.raises(UserError, match="python-stretch .*" + re.escape(install_line("pipe"))):
        preflight("signalsmith")
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in RUBBER_BAND:
        with pytest.raises(UserError, match=f"the engine {name} needs .*apt-get install rubberband-cli"):
            preflight(name)
        with pytest.raises(UserError, match="apt-get install rubberband-cli"):
            pitch_tempo(speech_like(9000, 24000), 24000, 100.0, 1.1, engine=name)
    monkeypatch.setitem(sys.modules, "pyrubberband", None)
    with pytest.raises(UserError, match="pyrubberband .*" + re.escape(install_line("pipe"))):
        preflight("pyrubberband")
    with pytest.raises(UserError, match="choose one of vocoder, signalsmith"):
        preflight("soundstretch")


def test_an_old_rubberband_is_refused(monkeypatch, tmp_path):
    program = tmp_path / "rubberband"
    program.write_text("#!/bin/sh\necho 1.9.0 >&2\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    for name in RUBBER_BAND:
        with pytest.raises(UserError, match=r"3 or later, found '1\.9\.0'"):
            preflight(name)


@pytest.mark.parametrize(("pitch_cents", "tempo"), [(5000.0, 1.0), (0.0, 0.0), (0.0, 9.0), (float("nan"), 1.0)])
def test_absurd_values_are_refused(pitch_cents, tempo):
    with pytest.raises(UserError, match="is outside"):
        pitch_tempo(speech_like(100, 24000), 24000, pitch_cents, tempo)


def test_engines_are_imported_when_first_used():
    code = "import sys, stylefx.audio.engines as e; print([m for m in ('pyrubberband', 'python_stretch') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
