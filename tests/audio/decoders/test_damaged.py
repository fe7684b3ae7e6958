"""What can be decoded of a damaged file is decoded, whatever its format, and the reader says what is wrong with it."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
import soundfile

from stylefx.audio import open_blocks, read_audio
from tests.support.signals import ffmpeg_decode, ffmpeg_encode, speech_like

RATE = 44100
SECONDS = 4
MP3 = ("-c:a", "libmp3lame")
ENDINGS = {
    "wav": ("-c:a", "pcm_s16le"),
    "aiff": ("-c:a", "pcm_s16be"),
    "flac": ("-c:a", "flac"),
    "ogg": ("-c:a", "libvorbis"),
    "opus": ("-c:a", "libopus"),
    "mp3": (*MP3, "-b:a", "96k"),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """``made("x.mp3", *options)``: the same four seconds in some encoding, made once."""
    from tests.conftest import require_program

    folder, ffmpeg = tmp_path_factory.mktemp("damaged"), require_program("ffmpeg", "apt-get install ffmpeg")
    soundfile.write(folder / "source.wav", speech_like(SECONDS * RATE, RATE).T, RATE)

    def make(name: str, *options: str):
        if not (folder / name).exists():
            ffmpeg_encode(ffmpeg, folder / "source.wav", folder / name, *options)
        return folder / name

    return make


def read(data: bytes, name: str) -> tuple[np.ndarray, str]:
    with open_blocks(data, name=name) as reader:
        audio = np.concatenate(list(reader), axis=1)
        return audio, reader.damage


def test_an_mp3_of_variable_rate_without_a_header_of_its_length_is_read_whole(made, ffmpeg):
    path = made("vbr.mp3", *MP3, "-q:a", "4", "-write_xing", "0")
    audio, damage = read(path.read_bytes(), "vbr.mp3")
    expected = ffmpeg_decode(ffmpeg, path, 1)
    assert audio.shape == expected.shape
    assert np.abs(audio - expected).max() < 2e-5
    assert damage == ""


def test_joined_mp3s_are_one_after_the_other(made):
    one, two = made("one.mp3", *MP3, "-q:a", "4"), made("two.mp3", *MP3, "-b:a", "64k")
    audio, damage = read(one.read_bytes() + two.read_bytes(), "joined.mp3")
    np.testing.assert_array_equal(audio, np.concatenate([read_audio(one)[0], read_audio(two)[0]], axis=1))
    assert damage == ""


def test_garbage_in_an_mp3_costs_its_place_and_not_the_rest(made):
    data = made("vbr.mp3", *MP3, "-q:a", "4", "-write_xing", "0").read_bytes()
    half = len(data) // 2
    noise = np.random.default_rng(1).bytes(4000)
    whole, _ = read(data, "vbr.mp3")
    audio, damage = read(data[:half] + noise + data[half:], "garbage.mp3")
    assert 0 < whole.shape[1] - audio.shape[1] <= 4 * 1152
    np.testing.assert_array_equal(audio[:, :20000], whole[:, :20000])
    np.testing.assert_allclose(audio[:, -20000:], whole[:, -20000:], atol=1e-6)
    assert "no MPEG audio" in damage


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_file_that_was_cut_gives_what_is_left_in_every_format(made, ending):
    path = made(f"cut.{ending}", *ENDINGS[ending])
    data = path.read_bytes()
    whole, none = read(data, path.name)
    audio, damage = read(data[: int(0.7 * len(data))], path.name)
    assert 0.4 * whole.shape[1] < audio.shape[1] < 0.95 * whole.shape[1]
    np.testing.assert_array_equal(audio[:, :60000], whole[:, :60000])
    assert damage
    assert none == ""
    part, _ = read_audio(data[: int(0.7 * len(data))], audio.shape[1] - 500, 400, name=path.name)
    np.testing.assert_array_equal(part, audio[:, -500:-100])


@pytest.mark.parametrize("after", [b"", b"LIST\x04\x00\x00\x00abcd"])
def test_a_wav_whose_header_says_no_size_is_read_to_its_end(after):
    buffer = io.BytesIO()
    soundfile.write(buffer, speech_like(5000, 8000).T, 8000, format="WAV", subtype="PCM_16")
    data = bytearray(buffer.getvalue())
    at = data.index(b"data") + 4
    data[at : at + 4] = data[4:8] = struct.pack("<I", 0)
    audio, _ = read(bytes(data), "piped.wav")
    np.testing.assert_array_equal(audio, read_audio(buffer.getvalue())[0])
    truly_empty = bytes(data[: at + 4]) + after
    with open_blocks(truly_empty, name="empty.wav") as reader:
        assert reader.read(10).shape[1] == 0


def test_a_flipped_byte_in_flac_costs_a_block_and_not_the_rest(made):
    data = bytearray(made("x.flac", "-c:a", "flac").read_bytes())
    whole, _ = read(bytes(data), "x.flac")
    data[len(data) // 2] ^= 0xFF
    audio, damage = read(bytes(data), "x.flac")
    assert audio.shape == whole.shape
    changed = np.flatnonzero((audio != whole).any(axis=0))
    assert 0 < changed[-1] - changed[0] < 2 * 4608
    assert "frames are silence" in damage


def test_joined_ogg_files_are_one_after_the_other(made):
    path = made("cut.ogg", *ENDINGS["ogg"])
    audio, damage = read(2 * path.read_bytes(), "chain.ogg")
    whole, _ = read_audio(path)
    np.testing.assert_array_equal(audio, np.concatenate([whole, whole], axis=1))
    assert damage == ""


def test_a_lost_page_of_ogg_is_said(made):
    data = made("cut.ogg", *ENDINGS["ogg"]).read_bytes()
    pages = [i for i in range(len(data)) if data[i : i + 4] == b"OggS"]
    third, fourth = pages[3], pages[4]
    _, damage = read(data[:third] + data[fourth:], "gap.ogg")
    assert "pages of it are missing" in damage


def test_tags_around_an_mp3_are_no_damage(made):
    data = made("one.mp3", *MP3, "-q:a", "4").read_bytes()
    size = bytes([0, 0, 2, 0])  # 256, syncsafe
    tagged = b"ID3\x04\x00\x00" + size + bytes(256) + data + b"TAG" + bytes(125)
    audio, damage = read(tagged, "tagged.mp3")
    np.testing.assert_array_equal(audio, read(data, "one.mp3")[0])
    assert damage == ""


def test_a_damaged_file_is_said_in_the_log(made, caplog):
    data = made("cut.wav", *ENDINGS["wav"]).read_bytes()
    read_audio(data[: len(data) // 2], name="half.wav")
    assert "half.wav is damaged: its header promises" in caplog.text
