"""What libsndfile does not know is read all the same: as ffmpeg decodes it, at any position, from anywhere."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import soundfile

from stylefx.audio import open_blocks, probe, read_audio
from stylefx.errors import UserError
from tests.support.signals import ffmpeg_decode, ffmpeg_encode, speech_like

RATE = 44100
FORMATS = {
    "aac.m4a": ["-c:a", "aac"],
    "alac.m4a": ["-c:a", "alac"],
    "sound.mp4": ["-c:a", "aac", "-b:a", "96k"],
    "adts.aac": ["-c:a", "aac"],
    "opus.webm": ["-c:a", "libopus", "-ar", "48000"],
    "flac.mka": ["-c:a", "flac", "-sample_fmt", "s16"],
    "pack.wv": ["-c:a", "wavpack"],
    "media.wma": ["-c:a", "wmav2"],
    "layer2.mp2": ["-c:a", "mp2"],
}
LOSSLESS = ("alac.m4a", "flac.mka", "pack.wv")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("libav")


@pytest.fixture
def encoded(folder, ffmpeg, request):
    pytest.importorskip("av", reason="pip install 'stylefx[ffmpeg]'")
    target = folder / request.param
    if not target.exists():
        source = folder / "source.wav"
        if not source.exists():
            soundfile.write(source, speech_like(2 * RATE, RATE, 2).T, RATE, subtype="PCM_16")
        ffmpeg_encode(ffmpeg, source, target, *FORMATS[request.param])
    return target


@pytest.mark.parametrize("encoded", FORMATS, indirect=True)
def test_decodes_as_ffmpeg_does_at_any_position(encoded, folder, ffmpeg):
    whole, rate = read_audio(encoded)
    expected = ffmpeg_decode(ffmpeg, encoded, 2)
    assert rate == (48000 if encoded.suffix == ".webm" else RATE)
    assert abs(whole.shape[1] - expected.shape[1]) <= 1024  # versions differ in how they cut the padding of the end
    shared = min(whole.shape[1], expected.shape[1])
    assert np.abs(whole[:, :shared] - expected[:, :shared]).max() < 2e-3
    if encoded.name in LOSSLESS:
        np.testing.assert_array_equal(whole, read_audio(folder / "source.wav")[0])
    for start, frames in ((0, 100), (31234, 5000), (whole.shape[1] - 10, 10)):
        np.testing.assert_array_equal(read_audio(encoded, start, frames)[0], whole[:, start : start + frames])
    np.testing.assert_array_equal(read_audio(encoded.read_bytes(), name=encoded.name)[0], whole)
    with open_blocks(encoded, 999) as reader:
        np.testing.assert_array_equal(np.concatenate(list(reader), axis=1), whole)
        assert reader.damage == ""
    assert not probe(encoded).exact


@pytest.mark.parametrize("encoded", ["opus.webm", "adts.aac", "media.wma"], indirect=True)
def test_a_file_that_was_cut_gives_what_is_left(encoded):
    data, (whole, _) = encoded.read_bytes(), read_audio(encoded)
    with open_blocks(data[: int(0.6 * len(data))], name=encoded.name) as reader:
        audio = np.concatenate(list(reader), axis=1)
        assert 0.3 * whole.shape[1] < audio.shape[1] < 0.9 * whole.shape[1]
        assert reader.damage or encoded.suffix == ".aac"  # a stream without a header promises nothing
    np.testing.assert_array_equal(audio[:, :20000], whole[:, :20000])


@pytest.mark.parametrize("encoded", ["aac.m4a"], indirect=True)
def test_without_pyav_the_message_names_the_extra(encoded, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(UserError, match=r"aac\.m4a is decoded by PyAV, which is missing.*stylefx\[ffmpeg\]"):
        read_audio(encoded)


def test_pyav_is_loaded_only_when_it_is_needed(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    soundfile.write(tmp_path / "a.wav", speech_like(1000, 8000).T, 8000)
    assert read_audio(tmp_path / "a.wav")[0].shape == (1, 1000)


def test_what_is_no_audio_is_one_sentence(tmp_path):
    (tmp_path / "a.m4a").write_bytes(b"\0\0\0\x18ftypM4A " + bytes(500))
    with pytest.raises(UserError, match=r"a\.m4a cannot be decoded"):
        read_audio(tmp_path / "a.m4a")
