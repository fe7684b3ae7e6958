"""Our vocoder: exact where it can be, sharp at attacks, coherent between channels, as near to the truth as Signalsmith."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from benchmarks.engine_measures import click_errors, offset_kept, tone_errors
from benchmarks.quality_screen import KINDS, screen
from stylefx.audio import pitch_tempo
from stylefx.audio.engines.vocoder import scale_time
from stylefx.audio.engines.vocoder_onsets import find_onsets
from tests.support.signals import sine, speech_like

RATE = 24000


@pytest.mark.parametrize("rate", [8000, 22050, 24000, 44100])
@pytest.mark.parametrize("channels", [1, 2])
def test_without_scaling_the_signal_comes_back(rate, channels):
    """Analysis and synthesis windows add up to one, and frames sit where they belong."""
    audio = speech_like(rate, rate, channels)
    got = scale_time(audio, rate, 1.0, rate)
    assert np.abs(got - audio).max() < 2e-6


@pytest.mark.parametrize("factor", [0.75, 0.93, 1.25, 1.4])
def test_a_steady_sine_is_the_same_sine_only_longer(factor):
    got = scale_time(sine(1000.0, 2 * RATE, RATE), RATE, factor, int(2 * RATE * factor))[0]
    inner = got[RATE // 4 : -RATE // 4].astype(np.float64)
    t = np.arange(len(inner)) / RATE
    basis = np.stack([np.sin(2 * np.pi * 1000 * t), np.cos(2 * np.pi * 1000 * t)], axis=1)
    weights, *_ = np.linalg.lstsq(basis, inner, rcond=None)
    assert np.hypot(*weights) == pytest.approx(0.5, rel=2e-3)
    assert np.std(inner - basis @ weights) < 2e-3 * np.std(inner)


def _hit(onset_s: float, seconds: float, tempo: float = 1.0) -> np.ndarray:
    """A burst of decaying noise over a steady chord."""
    frames = round(seconds * RATE / tempo)
    t = np.arange(frames) / RATE
    chord = sum(np.sin(2 * np.pi * f * t) for f in (220.0, 277.0, 330.0)) * 0.05
    since = t * tempo - onset_s
    noise = np.random.default_rng(0).normal(size=frames)
    return (chord + 0.5 * noise * np.exp(-np.maximum(since, 0) / 0.05) * (since >= 0)).astype(np.float32)[None]


def _noise_level_db(audio: np.ndarray, start_s: float, end_s: float) -> float:
    """Level above 2 kHz, where the chord has nothing."""
    part = audio[0, round(start_s * RATE) : round(end_s * RATE)].astype(np.float64)
    spectrum = np.abs(np.fft.rfft(part * np.hanning(len(part)))) ** 2
    return 10 * np.log10(spectrum[round(2000 * len(part) / RATE) :].mean() + 1e-20)


@pytest.mark.parametrize(("pitch_cents", "tempo"), [(200.0, 0.8), (0.0, 0.8), (-200.0, 1.2)])
def test_attacks_stay_sharp(pitch_cents, tempo):
    """Nothing is heard before the attack, and all of it within the first milliseconds: without the treatment of attacks
    the same vocoder spreads the burst over tens of milliseconds."""
    out = pitch_tempo(_hit(1.0, 2.0), RATE, pitch_cents, tempo, engine="vocoder")
    onset_s = 1.0 / tempo
    after = _noise_level_db(out, onset_s, onset_s + 0.01)
    assert after - _noise_level_db(out, onset_s - 0.012, onset_s - 0.002) > 30
    truth = _noise_level_db(_hit(1.0, 2.0, tempo), onset_s, onset_s + 0.01)
    assert after == pytest.approx(truth, abs=3.0)


def _vocoder(audio: np.ndarray, rate: int, pitch_cents: float, tempo: float, out_frames: int) -> np.ndarray:
    return pitch_tempo(audio, rate, pitch_cents, tempo, out_frames, engine="vocoder")


DRAWN = tuple((cents, tempo) for cents in (-200.0, 0.0, 200.0) for tempo in (0.8, 1.0, 1.2) if (cents, tempo) != (0.0, 1.0))
WIDE = ((0.0, 0.5), (200.0, 0.5), (-200.0, 0.5), (0.0, 0.67), (1200.0, 1.0), (0.0, 1.5), (200.0, 2.0), (0.0, 2.0))


@pytest.mark.parametrize("rate", [16000, 24000, 44100])
def test_an_isolated_click_comes_once(rate):
    """No copy or echo above -45 dB (35 are promised), inside what manifests draw by default and far outside."""
    _, copy_db, echo_db, _ = click_errors(_vocoder, rate, (*DRAWN, *WIDE)).T
    assert copy_db.max() < -45
    assert echo_db.max() < -45


@pytest.mark.parametrize("rate", [8000, 16000, 24000, 44100])
def test_a_click_of_four_milliseconds_stays_within_six(rate):
    assert click_errors(_vocoder, rate, (*DRAWN, *WIDE))[:, 0].max() < 3.0


def test_a_click_keeps_its_energy():
    """Its own when stretched; shortened to half, some of the frames that hold it are left out."""
    level_db = click_errors(_vocoder, RATE, ((0.0, 0.5), (0.0, 0.8), (0.0, 1.2), (0.0, 2.0)))[:, 3]
    np.testing.assert_allclose(level_db[:2], 0.0, atol=0.05)
    np.testing.assert_allclose(level_db[2], 0.0, atol=0.3)
    assert abs(level_db[3]) < 3.0


def test_a_tone_has_its_pitch_and_nothing_beside_it():
    """0.00 cents, and a residual of at most -72 dB from 110 Hz on."""
    cents_off, residual_db, level_db = tone_errors(_vocoder, RATE, ((200.0, 0.8), (-200.0, 1.2), (0.0, 0.5), (0.0, 2.0))).T
    assert np.abs(cents_off).max() < 0.005
    assert residual_db.max() < -72
    assert np.abs(level_db).max() < 0.01


@pytest.mark.parametrize("signal", ["nothing", "voice", "noise", "hum"])
def test_a_constant_offset_keeps_its_sign_and_size(signal):
    frames = 2 * RATE
    audio = {
        "nothing": np.zeros((1, frames)),
        "voice": speech_like(frames, RATE),
        "noise": 0.1 * np.random.default_rng(0).normal(size=(1, frames)),
        "hum": sine(50.0, frames, RATE),
    }[signal]
    low, high = offset_kept(_vocoder, RATE, audio, 0.1, ((0.0, 0.5), (200.0, 0.8), (-200.0, 1.2), (0.0, 2.0)))
    assert 0.9 < low <= high < 1.1


def test_attacks_are_found_to_the_millisecond():
    clicks = 0.001 * np.random.default_rng(0).normal(size=(1, 2 * RATE)).astype(np.float32)
    onsets = np.array([0.05, 0.31, 0.9, 1.35, 1.95])
    for onset in onsets:
        clicks[0, round(onset * RATE) : round((onset + 0.02) * RATE)] += 0.3 * np.random.default_rng(1).normal(size=480)
    found = find_onsets(clicks, RATE) / RATE
    assert len(found) == len(onsets)
    assert np.abs(found - onsets).max() < 1e-3
    assert len(find_onsets(sine(440, RATE, RATE)[:, RATE // 4 :], RATE)) <= 1  # its beginning at most
    assert len(find_onsets(np.zeros((2, RATE), np.float32), RATE)) == 0


def test_the_same_bits_in_another_process_and_after_other_work():
    code = (
        "import hashlib; from stylefx.audio import pitch_tempo; from tests.support.signals import speech_like\n"
        "audio = speech_like(48000, 24000, 2)\n"
        "print(hashlib.sha256(pitch_tempo(audio, 24000, 130.0, 0.85, engine='vocoder').tobytes()).hexdigest())"
    )
    import hashlib

    pitch_tempo(speech_like(30000, 24000), 24000, -50.0, 1.2, engine="vocoder")
    here = hashlib.sha256(pitch_tempo(speech_like(48000, 24000, 2), 24000, 130.0, 0.85, engine="vocoder").tobytes()).hexdigest()
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert here == there


def test_a_delay_between_channels_is_kept():
    """The right channel is the left 10 samples later; stretching must keep the 10 samples: the image stays where it is."""
    left = speech_like(48010, RATE)[0]
    out = pitch_tempo(np.stack([left[10:], left[:-10]]), RATE, 0.0, 1.15, engine="vocoder")
    lags = range(-30, 31)
    scores = [np.dot(out[0, 1000:-1000], np.roll(out[1], -lag)[1000:-1000]) for lag in lags]
    assert lags[int(np.argmax(scores))] == 10


def test_as_near_to_the_truth_as_signalsmith_on_both_kinds():
    """A small screen; benchmarks/quality_screen.py is the large one."""
    table = screen(["signalsmith", "vocoder"], seeds=1, seconds=4.0, settings=((200.0, 0.8), (-130.0, 1.2)))
    for kind in KINDS:
        assert table["vocoder"][kind].mean() <= table["signalsmith"][kind].mean()
