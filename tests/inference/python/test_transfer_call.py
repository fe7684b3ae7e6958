"""``stylefx.transfer``: arrays, tensors and files give the same samples, and mistakes end in one sentence."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import stylefx
from stylefx.audio.reading import read_audio
from stylefx.errors import UserError
from tests.inference.conftest import speech_like, write

RATE = 24000


@pytest.fixture(scope="module")
def heard():
    return speech_like(3, RATE, seed=1, channels=2), speech_like(3, RATE, seed=2)


@pytest.fixture(scope="module")
def done(heard, checkpoint):
    return stylefx.transfer(*heard, RATE, model=checkpoint)


def test_arrays_and_files_give_the_same_samples(heard, done, checkpoint, tmp_path):
    files = [write(tmp_path / f"{n}.wav", audio, RATE) for n, audio in enumerate(heard)]
    out = stylefx.transfer(*files, out=tmp_path / "out.wav", model=checkpoint, bits="float")
    assert isinstance(done.audio, np.ndarray)
    np.testing.assert_array_equal(done.audio, out.audio)
    np.testing.assert_array_equal(done.audio, read_audio(tmp_path / "out.wav")[0])
    assert (tmp_path / "out.json").is_file()
    assert done.settings.settings == out.settings.settings


def test_tensors_give_tensors_and_mono_keeps_its_one_axis(heard, done, checkpoint):
    audio, reference = heard
    tensor = stylefx.transfer(torch.from_numpy(audio), [torch.from_numpy(reference[0])], RATE, model=checkpoint)
    assert isinstance(tensor.audio, torch.Tensor)
    np.testing.assert_array_equal(tensor.audio.numpy(), done.audio)
    mono = stylefx.transfer(audio[0], reference, RATE, model=checkpoint)
    assert mono.audio.shape == audio[0].shape


def test_a_result_is_saved_with_its_settings(done, tmp_path):
    done.save(tmp_path / "kept.wav")
    np.testing.assert_array_equal(read_audio(tmp_path / "kept.wav")[0], done.audio)
    assert stylefx.load_settings(tmp_path / "kept.json").settings == done.settings.settings


def test_a_notebook_shows_players_and_spectra(done):
    html = done._repr_html_()
    assert html.count("<audio") == 3
    assert html.count("<polyline") == 3
    assert "parametric_eq" in html
    assert "://" not in html  # base64 has no colon
    assert "LUFS" in repr(done)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda a: {"audio": a.T}, r"72,000 channels of 2 samples; the order of the axes is \(channels, samples\)"),
        (lambda a: {"sample_rate": None}, "give sample_rate in Hz"),
        (lambda a: {"sample_rate": 44100.5}, "a whole number of Hz"),
        (lambda a: {"audio": (a * 32767).astype(np.int16)}, "floating point"),
        (lambda a: {"audio": [1.0, 2.0]}, "is a list"),
        (lambda a: {"intensty": 1}, "did you mean 'intensity'"),
        (lambda a: {"intensity": 3}, "intensity is 3"),
        (lambda a: {"reference": []}, "no reference was given"),
        (lambda a: {"audio": a * np.nan}, "NaN"),
    ],
)
def test_mistakes_end_in_a_sentence(change, sentence, heard, checkpoint):
    asked = {"audio": heard[0], "reference": heard[1], "sample_rate": RATE} | change(heard[0])
    with pytest.raises(UserError, match=sentence):
        stylefx.transfer(**asked, model=checkpoint)


def test_a_rate_that_nothing_uses_is_refused():
    with pytest.raises(UserError, match="states its own"):
        stylefx.transfer("a.wav", "b.wav", RATE)
    with pytest.raises(UserError, match="states its own"):
        stylefx.transfer(np.zeros((1, 9), np.float32), "b.wav", RATE, reference_rate=RATE)
