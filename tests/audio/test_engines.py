"""Pitch and tempo engines: exact length, exact pitch, in time with the input, the same samples at every call."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from stylefx.audio import DEFAULT_ENGINE, engine_names, pitch_tempo, preflight
from stylefx.audio import engines as engines_module
from stylefx.errors import UserError
from tests.audio.signals import cents, measure_frequency_hz, sine, speech_like
from tests.conftest import require_program

SETTINGS = [(0.0, 0.8), (0.0, 1.2), (200.0, 1.0), (-200.0, 1.0), (137.0, 0.9), (-90.0, 1.13)]


@pytest.fixture(params=engine_names())
def engine(request):
    if request.param.startswith("rubberband"):
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
        if engine == "rubberband":  # a process per call
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
    """The right channel is the left, quieter: it must stay so, or the stereo image collapses."""
    left = speech_like(48000, 24000)[0]
    out = pitch_tempo(np.stack([left, 0.5 * left]), 24000, pitch_cents, tempo, engine=engine)
    error = out[1] - 0.5 * out[0]
    limit = 0.1 if engine == "rubberband" else 1e-4
    assert np.sqrt(np.mean(error**2)) < limit * np.sqrt(np.mean(out[1] ** 2))


def test_level_is_kept(engine):
    audio = speech_like(48000, 24000)
    for pitch_cents, tempo in SETTINGS:
        out = pitch_tempo(audio, 24000, pitch_cents, tempo, engine=engine)
        assert abs(20 * np.log10(np.std(out) / np.std(audio))) < 0.7


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
    with pytest.raises(UserError, match="pip install python-stretch"):
        preflight("signalsmith")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="apt-get install rubberband-cli"):
        preflight("rubberband")
    with pytest.raises(UserError, match="choose one of vocoder, signalsmith"):
        preflight("soundstretch")


def test_an_old_rubberband_is_refused(monkeypatch, tmp_path):
    program = tmp_path / "rubberband"
    program.write_text("#!/bin/sh\necho 1.9.0 >&2\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    with pytest.raises(UserError, match=r"3 or later, found '1\.9\.0'"):
        preflight("rubberband")


@pytest.mark.parametrize(("pitch_cents", "tempo"), [(5000.0, 1.0), (0.0, 0.0), (0.0, 9.0), (float("nan"), 1.0)])
def test_absurd_values_are_refused(pitch_cents, tempo):
    with pytest.raises(UserError, match="is outside"):
        pitch_tempo(speech_like(100, 24000), 24000, pitch_cents, tempo)


def test_engines_are_imported_when_first_used():
    assert set(engines_module._ENGINES) == set(engine_names())
