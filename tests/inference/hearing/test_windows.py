"""The analysis hears active stretches spread over a recording, at the level of the training data."""

import numpy as np
import pytest
import soundfile

from stylefx.errors import UserError
from stylefx.inference.hearing.windows import analyse
from tests.inference.conftest import speech_like, write

SAMPLES = 24000


def test_windows_are_spread_over_the_active_parts(tmp_path):
    rate = 44100
    audio = speech_like(40, rate, channels=2)
    audio[:, 10 * rate : 25 * rate] = 0.0
    heard = analyse(write(tmp_path / "a.wav", audio, rate), 24000, SAMPLES, 6)
    starts = [w.start_s for w in heard.windows]
    assert len(starts) == 6
    assert starts[0] < 5
    assert starts[-1] > 35
    assert not any(10 <= s <= 24 for s in starts)
    assert heard.batch().shape == (6, 1, SAMPLES)


def test_every_window_has_the_peak_of_the_training_data_and_knows_its_gain(tmp_path):
    rate = 24000
    audio = 0.01 * speech_like(12, rate)
    heard = analyse(write(tmp_path / "a.wav", audio, rate), rate, SAMPLES, 4)
    for window in heard.windows:
        assert np.abs(window.audio).max() == pytest.approx(10 ** (-12 / 20), rel=1e-6)
        start = round(window.start_s * rate)
        here = audio[:, start : start + SAMPLES]
        np.testing.assert_allclose(here * 10 ** (window.gain_db / 20), window.audio, rtol=1e-5, atol=1e-8)


def test_the_gain_is_that_of_the_loudest_channel(tmp_path):
    """A compressor's side chain hears the louder channel, not the mix."""
    rate = 24000
    mono = speech_like(6, rate)[0]
    heard = analyse(write(tmp_path / "a.wav", np.stack([mono, 0.1 * mono]), rate), rate, SAMPLES, 3)
    peaks = [np.abs(mono[round(w.start_s * rate) :][:SAMPLES]).max() for w in heard.windows]
    assert heard.gain_db == pytest.approx(np.median([-12 - 20 * np.log10(p) for p in peaks]), abs=1e-3)


@pytest.mark.parametrize("extension", ["ogg", "flac"])
def test_windows_are_cut_where_they_say_whatever_the_format(tmp_path, extension):
    """libsndfile seeks wrongly in Ogg Vorbis; the windows must come from decoding it in order."""
    rate, path = 32000, tmp_path / f"a.{extension}"
    soundfile.write(path, speech_like(15, rate)[0], rate)
    whole, _ = soundfile.read(path, dtype="float32")
    heard = analyse(path, rate, SAMPLES, 5)
    for window in heard.windows:
        start = round(window.start_s * rate)
        cut = whole[start : start + SAMPLES]
        np.testing.assert_allclose(window.audio[0], cut * np.float32(10 ** (-12 / 20) / np.abs(cut).max()), atol=1e-6)


def test_a_recording_shorter_than_a_window_is_heard_whole(tmp_path):
    heard = analyse(write(tmp_path / "a.wav", speech_like(0.8, 16000), 16000), 24000, SAMPLES, 8)
    assert heard.batch().shape == (1, 1, round(0.8 * 24000))


@pytest.mark.parametrize(("seconds", "scale", "message"), [(0.4, 1.0, "at least 0.5 s"), (3.0, 0.0, "silent")])
def test_recordings_without_a_style_are_refused(tmp_path, seconds, scale, message):
    path = write(tmp_path / "a.wav", scale * speech_like(seconds, 16000), 16000)
    with pytest.raises(UserError, match=message):
        analyse(path, 24000, SAMPLES)
