"""FLAC files by loops of our own: any stretch is what libsndfile reads, and damage is told as libsndfile's reader tells it."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
import soundfile

from stylefx.audio.decoders.base import Undecodable
from stylefx.audio.decoders.flac_frames import FlacDecoder
from stylefx.audio.decoders.sndfile import SndfileDecoder
from stylefx.audio.flac import encode_flac
from stylefx.audio.reading import open_blocks, read_audio
from tests.support.signals import speech_like

RATE = 24000
FRAMES = 400_000


def made(samples: np.ndarray, subtype: str = "PCM_16") -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples.T, RATE, format="FLAC", subtype=subtype)
    return buffer.getvalue()


def uneven(channels: int) -> np.ndarray:
    """Silence, noise and speech: frames of ten bytes beside frames of ten thousand."""
    rng = np.random.default_rng(1)
    audio = np.zeros((channels, FRAMES))
    audio[:, FRAMES // 3 : FRAMES // 2] = rng.uniform(-0.9, 0.9, (channels, FRAMES // 2 - FRAMES // 3))
    audio[:, 3 * FRAMES // 4 :] = speech_like(FRAMES - 3 * FRAMES // 4, RATE, channels)
    return audio


def stretches() -> list[tuple[int, int]]:
    rng = np.random.default_rng(2)
    edges = [
        (0, 1),
        (0, FRAMES),
        (4096, 4096),
        (4095, 2),
        (FRAMES // 3 - 1, 3),
        (FRAMES // 2, 9000),
        (FRAMES - 1, 1),
        (FRAMES, 0),
    ]
    return edges + [(int(s), int(min(n, FRAMES - s))) for s, n in rng.integers(0, FRAMES, (20, 2))]


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24"])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("kind", ["even", "uneven"])
def test_any_stretch_of_a_file_is_what_libsndfile_reads(kind, channels, subtype, tmp_path):
    data = made(speech_like(FRAMES, RATE, channels) if kind == "even" else uneven(channels), subtype)
    path = tmp_path / "a.flac"
    path.write_bytes(data)
    whole = soundfile.read(path, dtype="float32", always_2d=True)[0].T
    for start, frames in stretches():
        for source in (path, data):
            found, rate = read_audio(source, start, frames)
            assert rate == RATE
            np.testing.assert_array_equal(found, whole[:, start : start + frames])
    with open_blocks(path, 10_007) as reader:
        np.testing.assert_array_equal(np.concatenate(list(reader), axis=1), whole)


def test_a_stretch_is_read_without_what_lies_before_it(tmp_path):
    class Counting(io.FileIO):
        count = 0

        def readinto(self, buffer):
            got = super().readinto(buffer)
            Counting.count += got
            return got

    path = tmp_path / "a.flac"
    path.write_bytes(made(speech_like(FRAMES, RATE, 1)))
    with io.BufferedReader(Counting(path)) as file:
        read_audio(file, FRAMES // 2, 4096)
    assert Counting.count < path.stat().st_size // 2


def without_reason(damage: str) -> str:
    """libFLAC has several names for the same damage: which one it gives depends on how it came there."""
    return re.sub(r" \([^)]*\)", "", damage)


def same_as_libsndfiles(data: bytes) -> None:
    """Blocks, seeks and sentences about damage are those of the reader that was there before."""
    for start, sizes in ((0, [65536] * 8), (0, [FRAMES]), (150_000, [65536] * 5), (300_000, [10])):
        ours, theirs = FlacDecoder(io.BytesIO(data)), SndfileDecoder(io.BytesIO(data))
        assert ours.info == theirs.info
        if start and ours.seek(start) != theirs.seek(start):
            continue  # libsndfile does not find there: reading begins at the start again
        for size in sizes:
            np.testing.assert_array_equal(ours.read(size), theirs.read(size))
            assert without_reason(ours.damage) == without_reason(theirs.damage)


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24"])
def test_damage_is_read_and_told_as_by_libsndfiles_reader(subtype):
    data = made(speech_like(FRAMES, RATE, 1), subtype)
    same_as_libsndfiles(data)
    rng = np.random.default_rng(3)
    for place in rng.integers(len(data) // 50, len(data), 6):
        same_as_libsndfiles(data[:place] + bytes([data[place] ^ 16]) + data[place + 1 :])
        same_as_libsndfiles(data[:place])


def test_a_header_of_many_blocks_of_metadata_is_passed():
    data = made(speech_like(9000, RATE, 1))
    picture = bytes([6]) + (100_000).to_bytes(3, "big") + b"\xff\xf8" * 50_000
    padded = data[:42] + picture + data[42:]
    np.testing.assert_array_equal(FlacDecoder(io.BytesIO(padded)).read(9000), SndfileDecoder(io.BytesIO(data)).read(9000))


def test_another_kind_of_flac_is_declined():
    three = made(np.zeros((3, 100)))
    eight = made(np.zeros((1, 100)), "PCM_S8")
    ours = encode_flac(np.arange(9000, dtype=np.int32)[None], RATE, 16)
    mixed = ours[:8] + b"\x10\x00\x20\x00" + ours[12:]  # blocks of several sizes
    for data in (three, eight, mixed, ours[:45], b"ID3" + ours, b"fLaC"):
        with pytest.raises(Undecodable):
            FlacDecoder(io.BytesIO(data))
    assert FlacDecoder(io.BytesIO(ours)).read(9001).shape == (9000, 1)
