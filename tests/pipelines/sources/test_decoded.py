"""Decoded copies of long recordings: the same samples as decoding, for every worker, damaged or not, and never in the way."""

from __future__ import annotations

import hashlib
import shutil

import numpy as np
import pytest
import soundfile

import pipelines.sources.decoded as spooling
from pipelines.plan.samples import RecordingPart
from pipelines.render.decode import Decoder
from pipelines.sources.decoded import Spool, default_spool
from stylefx.errors import UserError
from stylefx.files.cache import Cache

RATE = 22050
SECONDS = 45


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    """(path, sha256) of 45 s of stereo Vorbis noise bursts."""
    rng = np.random.default_rng(3)
    audio = 0.3 * rng.standard_normal((SECONDS * RATE, 2)) * (np.arange(SECONDS * RATE) % 9000 < 4000)[:, None]
    path = tmp_path_factory.mktemp("spool") / "long.ogg"
    with soundfile.SoundFile(path, "w", RATE, 2, format="OGG", subtype="VORBIS") as file:
        for start in range(0, len(audio), RATE):
            file.write(audio[start : start + RATE])
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(autouse=True)
def disk(monkeypatch):
    """A disk with room, however full the one is that the tests run on; a list whose first number is what is free, in bytes."""
    free = [10**12]
    usage = shutil.disk_usage
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(path)._replace(free=free[0]))
    return free


@pytest.fixture
def spool(tmp_path):
    return Spool(tmp_path / "decoded", 10**9)


def part(recording, start: int, frames: int) -> RecordingPart:
    path, digest = recording
    return RecordingPart("s/long.ogg", str(path), digest, RATE, 2, start, frames)


def copies(spool: Spool) -> list:
    return sorted(spool.folder.glob("??/*.f32"))


def test_a_copy_gives_the_samples_of_a_decode_from_the_start(recording, spool):
    whole, _ = soundfile.read(recording[0], dtype="float32", always_2d=True)
    for start in (32 * RATE, 31 * RATE + 12345, 40 * RATE):
        decoder = Decoder(RATE, 2, spool=spool)
        found = decoder._stretch(part(recording, start, 4 * RATE))
        assert np.array_equal(found, whole.T[:, start : start + 4 * RATE])
    assert len(copies(spool)) == 1


def test_a_recording_is_decoded_once_for_all_workers(recording, spool, monkeypatch):
    opened = []
    real = spooling.open_blocks
    monkeypatch.setattr(spooling, "open_blocks", lambda *a, **k: opened.append(a) or real(*a, **k))
    for _ in range(4):
        Decoder(RATE, 2, spool=Spool(spool.folder, spool.max_bytes))._stretch(part(recording, 33 * RATE, RATE))
    assert len(opened) == 1


@pytest.mark.parametrize("damage", ["flipped", "cut", "empty"])
def test_a_damaged_copy_is_made_anew(recording, spool, damage):
    right = Decoder(RATE, 2)._stretch(part(recording, 33 * RATE, RATE))
    Decoder(RATE, 2, spool=spool)._stretch(part(recording, 33 * RATE, RATE))
    (path,) = copies(spool)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes({"flipped": bytes(data), "cut": bytes(data[: len(data) // 2]), "empty": b""}[damage])
    again = Decoder(RATE, 2, spool=Spool(spool.folder, spool.max_bytes))
    assert np.array_equal(again._stretch(part(recording, 33 * RATE, RATE)), right)
    assert hashlib.sha256(copies(spool)[0].read_bytes()).hexdigest() != hashlib.sha256(bytes(data)).hexdigest()


def test_nobody_waits_while_another_process_decodes(recording, spool):
    right = Decoder(RATE, 2)._stretch(part(recording, 33 * RATE, RATE))
    with Cache(spool.folder, None).only_one(spool.key(recording[1])):
        assert np.array_equal(Decoder(RATE, 2, spool=spool)._stretch(part(recording, 33 * RATE, RATE)), right)
        assert not copies(spool)


def test_a_changed_recording_is_never_kept_under_the_old_content(recording, spool):
    assert spool.stretch("0" * 64, str(recording[0]), "s/long.ogg", 0, 10) is None
    assert not copies(spool)
    changed = RecordingPart("s/long.ogg", str(recording[0]), "0" * 64, RATE, 2, 33 * RATE, RATE)
    with pytest.raises(UserError, match="changed since it was scanned"):
        Decoder(RATE, 2, spool=spool)._stretch(changed)


def test_copies_stay_within_their_limit_and_the_oldest_goes_first(recording, tmp_path):
    data = recording[0].read_bytes()
    others = []
    for number in range(3):  # the same sound, other bytes: Ogg ignores what follows its last page
        path = tmp_path / f"{number}.ogg"
        path.write_bytes(data + bytes([number]) * 7)
        others.append((path, hashlib.sha256(path.read_bytes()).hexdigest()))
    size = 4 * 2 * RATE * SECONDS
    spool = Spool(tmp_path / "decoded", int(2.5 * size))
    for path, digest in others:
        assert spool.stretch(digest, str(path), path.name, 0, 100) is not None
    assert {p.name[:64] for p in copies(spool)} == {digest for _, digest in others[1:]}
    assert spool.stretch(others[0][1], str(others[0][0]), "0.ogg", 0, 100) is not None  # comes back when asked for
    small = Spool(tmp_path / "small", size // 2)
    assert small.stretch(others[0][1], str(others[0][0]), "0.ogg", 0, 100) is None


def test_a_disk_that_is_nearly_full_gets_no_copies_and_the_samples_are_the_same(recording, spool, disk):
    disk[0] = 4 * 10**9 + 1000
    right = Decoder(RATE, 2)._stretch(part(recording, 33 * RATE, RATE))
    assert np.array_equal(Decoder(RATE, 2, spool=spool)._stretch(part(recording, 33 * RATE, RATE)), right)
    assert not copies(spool)


def test_short_clips_and_formats_that_can_be_sought_in_make_no_copies(recording, spool, tmp_path):
    Decoder(RATE, 2, spool=spool)._stretch(part(recording, 3 * RATE, RATE))
    assert not copies(spool)
    path = tmp_path / "long.wav"
    soundfile.write(path, np.zeros((SECONDS * RATE, 2)), RATE)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    Decoder(RATE, 2, spool=spool)._stretch(RecordingPart("s/long.wav", str(path), digest, RATE, 2, 33 * RATE, RATE))
    assert not copies(spool)


def test_the_environment_switches_copies_off_and_a_typing_error_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("STYLEFX_CACHE", str(tmp_path))
    assert default_spool().folder == tmp_path / "decoded"
    monkeypatch.setenv("STYLEFX_DECODED_GB", "0")
    assert default_spool() is None
    monkeypatch.setenv("STYLEFX_DECODED_GB", "lots")
    with pytest.raises(UserError, match="STYLEFX_DECODED_GB is 'lots'"):
        default_spool()
