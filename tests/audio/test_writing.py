"""Writing: what another library reads back, never clipped silently, never half there, always the same bytes."""

from __future__ import annotations

import io
import math
import struct

import numpy as np
import pytest
import soundfile

from stylefx.audio import AudioWriter, decode_audio, encode_audio, read_audio, write_audio
from stylefx.audio.wav import decode_wav, wav_header
from stylefx.errors import UserError
from tests.support.signals import speech_like

STEPS = {"pcm16": 2.0**-15, "flac16": 2.0**-15, "pcm24": 2.0**-23, "flac24": 2.0**-23, "float32": 0.0}
FILES = [("a.wav", "pcm16"), ("a.wav", "pcm24"), ("a.wav", "float32"), ("a.flac", "flac16"), ("a.flac", "pcm24")]
FILES += [("a.aiff", "pcm16"), ("a.aif", "float32")]


@pytest.mark.parametrize(("name", "subtype"), FILES)
@pytest.mark.parametrize("channels", [1, 2])
def test_libsndfile_reads_back_what_was_written(tmp_path, name, subtype, channels):
    audio = speech_like(4801, 22254, channels)
    assert write_audio(tmp_path / name, audio, 22254, subtype) == 0.0
    back, rate = soundfile.read(tmp_path / name, dtype="float32", always_2d=True)
    assert rate == 22254
    assert back.T.shape == audio.shape
    assert np.abs(back.T - audio).max() <= 0.5 * STEPS[subtype] * 1.001
    np.testing.assert_array_equal(read_audio(tmp_path / name)[0], back.T)


@pytest.mark.parametrize("subtype", STEPS)
@pytest.mark.parametrize("channels", [1, 2])
def test_bytes_round_trip_and_are_reproducible(subtype, channels, monkeypatch):
    audio = speech_like(4801, 24000, channels)
    data = encode_audio(audio, 24000, subtype)
    monkeypatch.setattr("time.time", lambda: 0.0)
    assert encode_audio(audio, 24000, subtype) == data
    back, rate = decode_audio(data)
    assert rate == 24000
    assert np.abs(back - audio).max() <= 0.5 * STEPS[subtype] * 1.001
    again, _ = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)
    np.testing.assert_array_equal(again.T, back)
    assert encode_audio(back, 24000, subtype) == data  # a second generation loses nothing


def test_sixteen_bit_samples_are_rounded_as_numpy_rounds_in_double_precision():
    audio = np.random.default_rng(0).uniform(-1, 0.9999, (1, 20000)).astype(np.float32)
    back, _ = decode_audio(encode_audio(audio, 8000, "pcm16"))
    np.testing.assert_array_equal(back[0], np.rint(audio[0].astype(np.float64) * 32768) / 32768)


@pytest.mark.parametrize(("name", "subtype", "bits"), [("a.wav", "pcm16", 16), ("a.flac", "flac24", 24), ("a.aiff", "pcm16", 16)])
@pytest.mark.parametrize("peak", [1.0, 1.7, -1.0003])
def test_too_loud_audio_is_scaled_and_the_gain_returned(tmp_path, name, subtype, bits, peak):
    audio = speech_like(3000, 8000)
    audio[0, 700] = peak
    gain_db = write_audio(tmp_path / name, audio, 8000, subtype)
    back, _ = read_audio(tmp_path / name)
    assert gain_db < 0
    assert np.abs(back).max() == pytest.approx(1.0, abs=2.0 ** (1 - bits) * 1.01)
    assert np.abs(back - audio * 10 ** (gain_db / 20)).max() < 0.6 * 2.0 ** (1 - bits) + 2e-7
    with pytest.raises(UserError, match="beyond the full scale"):
        write_audio(tmp_path / "refused.wav", audio, 8000, "pcm16", over="error")
    assert not (tmp_path / "refused.wav").exists()
    with pytest.raises(UserError, match="beyond the full scale"):
        encode_audio(audio, 8000, "flac16")


def test_full_scale_that_fits_is_not_touched_and_floats_may_exceed_it(tmp_path):
    audio = np.array([[-1.0, 32767 / 32768, 0.0]], np.float32)
    assert write_audio(tmp_path / "a.wav", audio, 8000, "pcm16") == 0.0
    np.testing.assert_array_equal(read_audio(tmp_path / "a.wav")[0], audio)
    assert write_audio(tmp_path / "b.wav", 4 * audio, 8000, "float32") == 0.0
    np.testing.assert_array_equal(read_audio(tmp_path / "b.wav")[0], 4 * audio)


@pytest.mark.parametrize(("name", "subtype"), FILES)
@pytest.mark.parametrize("over", ["scale", "error"])
def test_blocks_give_the_bytes_of_the_whole(tmp_path, name, subtype, over):
    audio = speech_like(50000, 8000, 2)
    if over == "scale":
        audio[1, 40000] = 1.5
    whole_db = write_audio(tmp_path / name, audio, 8000, subtype, over)
    with AudioWriter(tmp_path / f"blocks-{name}", 8000, subtype, over) as writer:
        for start in range(0, 50000, 7001):
            writer.write(audio[:, start : start + 7001])
        assert writer.commit() == whole_db
    assert (tmp_path / name).read_bytes() == (tmp_path / f"blocks-{name}").read_bytes()


@pytest.mark.parametrize("name", ["a.wav", "a.aif"])
def test_float_files_hold_no_time_of_writing(tmp_path, name):
    """Their PEAK chunk would: the same samples would give other bytes a second later."""
    write_audio(tmp_path / name, speech_like(100, 8000), 8000, "float32")
    assert b"PEAK" not in (tmp_path / name).read_bytes()


def test_a_file_appears_only_when_complete_and_an_exception_leaves_nothing(tmp_path):
    path = tmp_path / "a.wav"
    write_audio(path, speech_like(100, 8000), 8000)
    before = path.read_bytes()
    writer = AudioWriter(path, 8000)
    writer.write(speech_like(5000, 8000, seed=1))
    with pytest.raises(UserError, match="NaN"), writer:
        writer.write(np.array([[math.nan]]))
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.wav"]
    with AudioWriter(path, 8000) as writer:
        writer.write(speech_like(5000, 8000, seed=1))
    assert path.read_bytes() == before  # no commit, no file


def test_the_file_is_on_disk_before_it_gets_its_name(tmp_path, monkeypatch):
    events = []
    monkeypatch.setattr("os.fsync", lambda handle: events.append("fsync"))
    replace = __import__("os").replace
    monkeypatch.setattr("os.replace", lambda a, b: (events.append("rename"), replace(a, b)))
    write_audio(tmp_path / "a.flac", speech_like(100, 8000), 8000)
    assert events == ["fsync", "rename", "fsync"]


@pytest.mark.parametrize(
    ("name", "subtype", "sentence"),
    [
        ("a.ogg", "pcm16", "are not written"),
        ("a", "pcm16", "without an extension"),
        ("a.flac", "float32", "FLAC holds no float"),
        ("a.wav", "flac16", "for files named .flac"),
        ("a.wav", "mp3", "not known; choose one of"),
        ("none/a.wav", "pcm16", "cannot be written"),
    ],
)
def test_wrong_formats_and_places_are_refused(tmp_path, name, subtype, sentence):
    with pytest.raises(UserError, match=sentence):
        write_audio(tmp_path / name, speech_like(10, 8000), 8000, subtype)
    assert list(tmp_path.iterdir()) == []


def test_nan_is_refused(tmp_path):
    with pytest.raises(UserError, match="NaN"):
        write_audio(tmp_path / "a.wav", np.array([[0.0, math.nan]]), 8000)
    with pytest.raises(UserError, match="NaN"):
        encode_audio(np.array([[math.inf]]), 8000, "float32")


def test_damaged_bytes_in_memory_are_refused():
    data = encode_audio(speech_like(4000, 8000), 8000, "pcm16")
    with pytest.raises(UserError, match="truncated"):
        decode_audio(data[:-100])
    nan = bytearray(encode_audio(speech_like(4000, 8000), 8000, "float32"))
    nan[-4:] = struct.pack("<f", math.nan)
    with pytest.raises(UserError, match="NaN"):
        decode_audio(bytes(nan))


def test_wav_beyond_four_gibibytes_is_rf64(tmp_path):
    frames = (1 << 32) // 4 + 10
    with (tmp_path / "long.wav").open("wb") as file:  # a sparse file: the samples are a hole
        file.write(wav_header("float32", 1, 48000, frames))
        file.truncate(file.tell() + 4 * frames)
    info = soundfile.info(tmp_path / "long.wav")
    assert (info.format, info.frames, info.samplerate) == ("RF64", frames, 48000)
    np.testing.assert_array_equal(read_audio(tmp_path / "long.wav", frames - 5, 5)[0], np.zeros((1, 5)))
    assert len(wav_header("float32", 1, 48000, frames)) == len(wav_header("float32", 1, 48000, 10))


def by_libsndfile(data: bytes, start: int, frames: int) -> np.ndarray:
    with soundfile.SoundFile(io.BytesIO(data)) as file:
        file.seek(start)
        return file.read(frames, dtype="float32", always_2d=True).T


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
@pytest.mark.parametrize("channels", [1, 2, 5])
def test_the_short_way_through_a_wav_gives_what_libsndfile_gives(subtype, channels):
    rng = np.random.default_rng(channels)
    buffer = io.BytesIO()
    soundfile.write(buffer, rng.uniform(-1, 1, (3001, channels)), 22254, format="WAV", subtype=subtype)
    data = buffer.getvalue()
    for start, frames in ((0, -1), (0, 10), (1234, -1), (1234, 500), (2990, 500), (3001, 4)):
        found = decode_wav(data, start, frames)
        assert found is not None
        assert found[1] == 22254
        np.testing.assert_array_equal(found[0], by_libsndfile(data, start, frames))
        assert found[0].flags.c_contiguous


def test_the_short_way_leaves_to_libsndfile_what_it_does_not_know():
    audio = speech_like(4000, 8000)
    for options in ({"subtype": "ULAW"}, {"subtype": "PCM_U8"}, {"subtype": "PCM_32"}, {"subtype": "DOUBLE"}, {"format": "AIFF"}):
        soundfile.write(buffer := io.BytesIO(), audio.T, 8000, **{"format": "WAV", **options})
        assert decode_wav(buffer.getvalue()) is None
    whole = encode_audio(audio, 8000, "pcm16")
    assert decode_wav(whole) is not None
    assert decode_wav(whole, 4001) is None
    rng = np.random.default_rng(0)
    for end in range(len(whole) - 1, 0, -997):
        assert decode_wav(whole[:end]) is None
    for _ in range(3000):  # what is damaged is declined or read, never a crash
        bent = bytearray(whole[:400])
        bent[rng.integers(0, 80)] = rng.integers(0, 256)
        decode_wav(bytes(bent))
