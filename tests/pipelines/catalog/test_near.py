"""The same audio is found again in another format, rate, level and place; other audio is not."""

from __future__ import annotations

import functools

import numpy as np
import pyarrow.parquet as pq
import pytest
import scipy.ndimage
import soundfile

from pipelines.catalog.landmarks import LandmarkMeter, largest_around
from pipelines.catalog.near import Fingerprints, hashes_of, same_audio
from pipelines.catalog.scan import scan
from stylefx.audio import read_audio, resample
from tests.pipelines.catalog.test_scan import manifest
from tests.support.signals import ffmpeg_encode

RATE = 22050


@functools.lru_cache(maxsize=64)
def melody(seconds: float, seed: int, rate: int = RATE) -> np.ndarray:
    """Notes of several partials over noise, float32 (1, n): no two seeds alike."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * rate)) / rate
    out = 0.003 * rng.standard_normal(len(t))
    for start in np.arange(0, seconds, 0.23):
        pitch = 110 * 2 ** (rng.integers(0, 36) / 12)
        heard = slice(round(start * rate), round((start + 2.0) * rate))  # -87 dB after
        s = t[heard]
        out[heard] += 0.1 * np.exp(-(s - start) * 5) * sum(np.sin(2 * np.pi * pitch * k * s) / k for k in range(1, 5))
    return out[None].astype(np.float32)


def peaks(audio: np.ndarray, rate: int, block: int = 5000) -> np.ndarray:
    meter = LandmarkMeter(rate)
    for start in range(0, audio.shape[1], block):
        meter.add(audio[:, start : start + block])
    return meter.peaks()


def test_blocks_of_any_size_give_the_same_fingerprint():
    audio = melody(20, 1)
    assert np.array_equal(peaks(audio, RATE, 777), peaks(audio, RATE, 100_000))


def test_a_second_costs_about_a_hundred_bytes():
    found = peaks(melody(30, 1), RATE)
    assert found.dtype == np.uint32
    assert 5 < len(found) / 30 < 40


@pytest.mark.parametrize("change", ["quiet", "loud", "late", "early", "part", "other rate"])
def test_levels_shifts_parts_and_rates_are_the_same_audio(change):
    audio = melody(25, 1)
    shift = round(0.37 * RATE)
    again, rate = {
        "quiet": (audio / 4, RATE),
        "loud": (audio * 4, RATE),
        "late": (np.pad(audio, ((0, 0), (shift, 0))), RATE),
        "early": (audio[:, shift:], RATE),
        "part": (audio[:, 7 * RATE : 17 * RATE], RATE),
        "other rate": (resample(audio, RATE, 16000), 16000),
    }[change]
    others = [peaks(melody(25, seed), RATE) for seed in range(2, 12)]
    assert same_audio([peaks(audio, RATE), *others, peaks(again, rate)]) == [(0, 11)]


def word(seed: int) -> np.ndarray:
    """0.8 s of sound, 0.4 s of silence around it."""
    return np.pad(melody(0.8, seed), ((0, 0), (round(0.4 * RATE),) * 2))


@pytest.mark.parametrize("change", ["quiet", "late", "early", "other rate", "in a longer one"])
def test_words_are_the_same_audio_and_other_words_are_not(change):
    audio, shift = word(3), round(0.37 * RATE)
    again, rate = {
        "quiet": (audio / 4, RATE),
        "late": (np.pad(audio, ((0, 0), (shift, 0))), RATE),
        "early": (audio[:, shift:], RATE),
        "other rate": (resample(audio, RATE, 16000), 16000),
        "in a longer one": (np.concatenate([melody(6, 50), audio, melody(6, 51)], axis=1), RATE),
    }[change]
    others = [peaks(word(seed), RATE) for seed in range(4, 14)]
    assert same_audio([peaks(audio, RATE), *others, peaks(again, rate)]) == [(0, 11)]
    assert same_audio([peaks(again, rate), *others, peaks(audio, RATE)]) == [(0, 11)]


def test_one_held_sound_that_two_words_share_does_not_make_them_the_same():
    t = np.arange(round(0.4 * RATE)) / RATE
    held = 0.3 * sum(np.sin(2 * np.pi * 197 * k * t) / k for k in range(1, 9))[None].astype(np.float32)
    words = [np.concatenate([melody(0.3, seed), held, melody(0.3, seed + 50)], axis=1) for seed in (31, 32, 33)]
    assert same_audio([peaks(word, RATE) for word in words]) == []


@pytest.mark.parametrize("seconds", [12, 1.5])
@pytest.mark.parametrize("name", ["x.mp3", "x.opus"])
def test_transcodes_are_the_same_audio(tmp_path, ffmpeg, name, seconds):
    audio = melody(seconds, 3)
    soundfile.write(tmp_path / "x.wav", audio.T, RATE)
    ffmpeg_encode(ffmpeg, tmp_path / "x.wav", tmp_path / name, "-b:a", "64k" if name == "x.mp3" else "24k")
    others = [peaks(melody(seconds, seed), RATE) for seed in (4, 5)]
    again, rate = read_audio(tmp_path / name)
    assert same_audio([peaks(audio, RATE), *others, peaks(again, rate)]) == [(0, 3)]


def test_what_holds_the_audio_of_many_is_found_in_any_number_of_batches(monkeypatch):
    whole = melody(25, 1)
    parts = [peaks(whole[:, s * RATE : (s + 2) * RATE], RATE) for s in range(0, 24, 3)]
    expected = [(0, i) for i in range(1, 9)]
    assert same_audio([peaks(whole, RATE), *parts]) == expected
    monkeypatch.setattr("pipelines.catalog.near._BATCH_HASHES", 10)
    assert same_audio([peaks(whole, RATE), *parts]) == expected


def test_silence_tones_and_noise_are_like_nothing():
    noise = [np.random.default_rng(s).normal(0, 0.1, (1, 10 * RATE)).astype(np.float32) for s in range(4)]
    tone = np.sin(2 * np.pi * 440 * np.arange(10 * RATE) / RATE)[None].astype(np.float32)
    quiet = [tone, 0.5 * tone[:, 3000:], np.zeros((1, 10 * RATE), np.float32), np.zeros((1, 9 * RATE), np.float32)]
    assert same_audio([peaks(a, RATE) for a in (*noise, *quiet[2:])]) == []


def test_clusters_go_by_the_first_name_and_over_others():
    found = Fingerprints()
    whole = melody(20, 1)
    for name, audio in (("s/whole", whole), ("s/first", whole[:, : 12 * RATE]), ("s/last", whole[:, 8 * RATE :])):
        found.add(name, peaks(audio, RATE).tobytes())
    found.add("s/broken", b"")
    found.add("s/other", peaks(melody(20, 9), RATE).tobytes())
    assert found.clusters() == {0: "s/first", 1: "s/first", 2: "s/first"}


def test_a_thinned_index_uses_the_same_hashes_everywhere():
    audio = melody(25, 1)
    full, _ = hashes_of(peaks(audio, RATE))
    thin, _ = hashes_of(peaks(audio, RATE), 2)
    assert 0.1 < len(thin) / len(full) < 0.5
    assert set(thin) <= set(full)


def test_the_catalog_names_the_recordings_of_the_same_audio(tmp_path):
    (tmp_path / "in").mkdir()
    for name, seed, gain in (("a.wav", 1, 1.0), ("b.flac", 1, 0.3), ("c.wav", 2, 1.0)):
        soundfile.write(tmp_path / "in" / name, gain * melody(10, seed).T, RATE)
    summary = scan(manifest(tmp_path / "in"), tmp_path / "c.parquet", workers=0)
    rows = {r["path"]: r for r in pq.read_table(tmp_path / "c.parquet").to_pylist()}
    assert {p: r["near"] for p, r in rows.items()} == {"a.wav": "s/a.wav", "b.flac": "s/a.wav", "c.wav": ""}
    assert summary.clusters == (2, 1)
    m = manifest(tmp_path / "in").model_copy(update={"near_duplicates": "ignore"})
    scan(m, tmp_path / "d.parquet", workers=0)
    assert {(r["near"], r["fingerprint"]) for r in pq.read_table(tmp_path / "d.parquet").to_pylist()} == {("", b"")}
    again = scan(manifest(tmp_path / "in"), tmp_path / "e.parquet", previous=tmp_path / "d.parquet", workers=0)
    assert (again.reused, again.clusters) == (0, (2, 1))


@pytest.mark.parametrize("reach", [0, 1, 7, 14])
@pytest.mark.parametrize("rows", [1, 5, 100])
def test_the_largest_around_is_scipys(reach, rows):
    levels = np.random.default_rng(reach).standard_normal((rows, 9)).astype(np.float32)
    expected = scipy.ndimage.maximum_filter1d(levels, 2 * reach + 1, axis=0, mode="constant", cval=-1e9)
    assert np.array_equal(largest_around(levels, reach), expected)
