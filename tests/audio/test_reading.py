"""Reading: what ffmpeg decodes, at any position, and one sentence for what cannot be decoded."""

from __future__ import annotations

import io
import re
import struct

import numpy as np
import pytest
import soundfile

from stylefx.audio import open_blocks, probe, read_audio, write_audio
from stylefx.errors import UserError
from stylefx.extras import install_line
from tests.support.signals import ffmpeg_decode, ffmpeg_encode, speech_like

RATE = 44100
# name, ffmpeg's encoder options, ffmpeg's decoder options, largest difference of the decoders
FORMATS = {
    "pcm16.wav": (["-c:a", "pcm_s16le"], [], 0.0),
    "pcm24.wav": (["-c:a", "pcm_s24le"], [], 0.0),
    "float32.wav": (["-c:a", "pcm_f32le"], [], 0.0),
    "16.aiff": (["-c:a", "pcm_s16be"], [], 0.0),
    "16.flac": (["-c:a", "flac", "-sample_fmt", "s16"], [], 0.0),
    "24.flac": (["-c:a", "flac", "-sample_fmt", "s32", "-bits_per_raw_sample", "24"], [], 0.0),
    "vorbis.ogg": (["-c:a", "libvorbis", "-q:a", "4"], [], 2e-6),
    "lame.mp3": (["-c:a", "libmp3lame", "-b:a", "128k"], [], 2e-5),
    "opus.opus": (["-c:a", "libopus", "-ar", "48000"], ["-c:a", "libopus"], 4e-5),  # ffmpeg's own Opus decoder differs by more
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("formats")


@pytest.fixture
def encoded(folder, ffmpeg, request):
    """A stereo file of the format in request.param, made once."""
    target = folder / request.param
    if not target.exists():
        source = folder / "source.wav"
        if not source.exists():
            soundfile.write(source, speech_like(5 * RATE, RATE, 2).T, RATE, subtype="FLOAT")
        ffmpeg_encode(ffmpeg, source, target, *FORMATS[request.param][0])
    return target


@pytest.mark.parametrize("encoded", FORMATS, indirect=True)
def test_decodes_as_ffmpeg_does(encoded, ffmpeg):
    audio, rate = read_audio(encoded)
    _, decoder, tolerance = FORMATS[encoded.name]
    expected = ffmpeg_decode(ffmpeg, encoded, 2, *decoder)
    assert audio.dtype == np.float32
    assert rate == (48000 if encoded.suffix == ".opus" else RATE)
    assert audio.shape == expected.shape
    assert np.abs(audio - expected).max() <= tolerance


@pytest.mark.parametrize("encoded", FORMATS, indirect=True)
def test_a_range_equals_the_slice_of_the_whole(encoded):
    whole, _ = read_audio(encoded)
    rng = np.random.default_rng(3)
    for _ in range(12):
        start = int(rng.integers(0, whole.shape[1] - 10))
        frames = int(rng.integers(1, whole.shape[1] - start + 1))
        part, _ = read_audio(encoded, start, frames)
        np.testing.assert_array_equal(part, whole[:, start : start + frames])
    np.testing.assert_array_equal(read_audio(encoded, 1234)[0], whole[:, 1234:])


@pytest.mark.parametrize("encoded", FORMATS, indirect=True)
def test_blocks_bytes_and_open_files_equal_the_whole(encoded):
    whole, rate = read_audio(encoded)
    with open_blocks(encoded, 4097) as blocks:
        assert (blocks.sample_rate, blocks.channels) == (rate, 2)
        parts = list(blocks)
    assert max(p.shape[1] for p in parts) == 4097
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), whole)
    np.testing.assert_array_equal(read_audio(encoded.read_bytes())[0], whole)
    with encoded.open("rb") as file:
        np.testing.assert_array_equal(read_audio(file, 5, 100)[0], whole[:, 5:105])
        assert not file.closed


@pytest.mark.parametrize("encoded", ["vorbis.ogg", "lame.mp3", "opus.opus"], indirect=True)
def test_no_seek_is_made_in_formats_that_libsndfile_seeks_wrongly(encoded, monkeypatch):
    def forbidden(*arguments, **options):
        raise AssertionError("a seek was made")

    whole, _ = read_audio(encoded)
    monkeypatch.setattr(soundfile.SoundFile, "seek", forbidden)
    np.testing.assert_array_equal(read_audio(encoded, 20000, 1000)[0], whole[:, 20000:21000])
    with open_blocks(encoded, 1000) as blocks:
        np.testing.assert_array_equal(np.concatenate(list(blocks), axis=1), whole)


def test_probe_tells_what_the_header_says(tmp_path):
    write_audio(tmp_path / "a.flac", speech_like(12345, 22254, 2), 22254)
    info = probe(tmp_path / "a.flac")
    assert (info.sample_rate, info.channels, info.frames, info.format, info.exact) == (22254, 2, 12345, "FLAC", True)
    assert info.duration_s == pytest.approx(12345 / 22254)


def test_samples_above_full_scale_are_kept(tmp_path, ffmpeg):
    loud = 3.0 * speech_like(RATE, RATE)
    soundfile.write(tmp_path / "loud.wav", loud.T, RATE, subtype="FLOAT")
    ffmpeg_encode(ffmpeg, tmp_path / "loud.wav", tmp_path / "loud.ogg", "-c:a", "libvorbis", "-q:a", "6")
    np.testing.assert_array_equal(read_audio(tmp_path / "loud.wav")[0], loud)
    assert np.abs(read_audio(tmp_path / "loud.ogg")[0]).max() > 1.3


def test_raw_g722_through_ffmpeg(tmp_path, ffmpeg):
    audio = speech_like(32000, 16000)
    soundfile.write(tmp_path / "a.wav", audio.T, 16000, subtype="PCM_16")
    ffmpeg_encode(ffmpeg, tmp_path / "a.wav", tmp_path / "a.g722", "-c:a", "g722", "-f", "g722")
    expected = ffmpeg_decode(ffmpeg, tmp_path / "a.g722", 1, "-f", "g722")
    got, rate = read_audio(tmp_path / "a.g722")
    assert rate == 16000
    np.testing.assert_array_equal(got, expected)
    assert np.corrcoef(got[0, 22:], audio[0, : got.shape[1] - 22])[0, 1] > 0.98  # the codec's delay is 22 samples
    np.testing.assert_array_equal(read_audio(tmp_path / "a.g722", 777, 999)[0], expected[:, 777 : 777 + 999])
    assert probe(tmp_path / "a.g722").frames == expected.shape[1]
    np.testing.assert_array_equal(read_audio((tmp_path / "a.g722").read_bytes(), name="x.g722")[0], expected)


def test_g722_without_ffmpeg_names_the_extra(tmp_path, monkeypatch):
    (tmp_path / "a.g722").write_bytes(b"\x12" * 400)
    monkeypatch.setitem(__import__("sys").modules, "imageio_ffmpeg", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match=re.escape(f"install it with: {install_line('ffmpeg')}")):
        read_audio(tmp_path / "a.g722")


def test_an_mp3_that_promises_more_than_it_holds_is_read_to_its_true_end(tmp_path, ffmpeg):
    soundfile.write(tmp_path / "a.wav", speech_like(3 * RATE, RATE).T, RATE)
    ffmpeg_encode(ffmpeg, tmp_path / "a.wav", tmp_path / "a.mp3", "-c:a", "libmp3lame", "-b:a", "128k")
    data = (tmp_path / "a.mp3").read_bytes()
    (tmp_path / "cut.mp3").write_bytes(data[: int(len(data) * 0.8)])
    promised, audio = probe(tmp_path / "cut.mp3").frames, read_audio(tmp_path / "cut.mp3")[0]
    assert promised > audio.shape[1] > 0.7 * 3 * RATE
    with open_blocks(tmp_path / "cut.mp3", 5000) as blocks:
        assert sum(b.shape[1] for b in blocks) == audio.shape[1]
    with pytest.raises(UserError, match=rf"has {audio.shape[1]} frames"):
        read_audio(tmp_path / "cut.mp3", audio.shape[1] - 10, 20)


def _wav_with(samples: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, 8000, format="WAV", subtype="FLOAT")
    return buffer.getvalue()


BROKEN = {
    "empty.wav": (b"", "is empty"),
    "text.wav": (b"this is no audio, only a text that calls itself so\n" * 20, "cannot be decoded"),
    "noise.flac": (bytes(range(256)) * 8, "cannot be decoded"),
    "guessed.vox": (b"text that libsndfile would take for raw samples " * 9, "cannot be decoded|is not read"),
    "nan.wav": (_wav_with(np.array([0.0, 0.1, np.nan, 0.2])), "NaN or infinite samples, the first at frame 2"),
    "infinite.wav": (_wav_with(np.array([0.0, np.inf])), "NaN or infinite samples, the first at frame 1"),
    "no-frames.wav": (_wav_with(np.zeros((0, 1))), "holds no audio frames"),
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("way", ["path", "bytes", "blocks"])
def test_what_cannot_be_decoded_is_refused_in_one_sentence(tmp_path, name, way):
    data, sentence = BROKEN[name]
    path = tmp_path / name
    path.write_bytes(data)
    ways = {
        "path": lambda: read_audio(path),
        "bytes": lambda: read_audio(data, name=name),
        "blocks": lambda: list(open_blocks(path, 64)),
    }
    with pytest.raises(UserError, match=sentence) as caught:
        ways[way]()
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_files_folders_and_closed_doors(tmp_path, monkeypatch):
    with pytest.raises(UserError, match="does not exist"):
        read_audio(tmp_path / "none.wav")
    with pytest.raises(UserError, match="is a folder"):
        read_audio(tmp_path)

    def denied(*arguments, **options):
        raise PermissionError(13, "Permission denied")

    (tmp_path / "a.wav").write_bytes(b"x")
    monkeypatch.setattr("pathlib.Path.open", denied)
    with pytest.raises(UserError, match="cannot be opened: Permission denied"):
        read_audio(tmp_path / "a.wav")


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF])
def test_a_wav_from_a_pipe_whose_size_is_unknown_is_not_called_truncated(size):
    data = bytearray(_wav_with(speech_like(4000, 8000).T))
    at = data.index(b"data") + 4
    data[at : at + 4] = struct.pack("<I", size)
    data[4:8] = struct.pack("<I", size)
    assert read_audio(bytes(data), whole=True)[0].shape == (1, 4000)


@pytest.mark.parametrize(("start", "frames"), [(90, 20), (101, None), (0, 101), (-1, 5), (0, -1)])
def test_a_range_outside_the_file_is_refused(tmp_path, start, frames):
    write_audio(tmp_path / "a.wav", speech_like(100, 8000), 8000)
    with pytest.raises(UserError, match=r"a\.wav has 100 frames|cannot be read"):
        read_audio(tmp_path / "a.wav", start, frames)


def test_names_with_spaces_and_unicode(tmp_path):
    path = tmp_path / "mód 日本 a b.flac"
    write_audio(path, speech_like(100, 8000), 8000)
    assert read_audio(path)[0].shape == (1, 100)
