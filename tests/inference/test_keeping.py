"""What is kept: files that exist, tags and covers, broadcast chunks, and a style at another level."""

import struct

import numpy as np
import pytest
import soundfile

from stylefx.inference.rendering.file import render_file
from stylefx.inference.tags import append_chunks, carry_over, wav_chunks
from tests.inference.conftest import speech_like, write
from tests.inference.rendering.test_rendering import style

RATE = 24000
PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)


@pytest.fixture
def source(tmp_path):
    return write(tmp_path / "in.wav", speech_like(1, RATE), RATE)


@pytest.mark.parametrize("kind", ["file", "link", "link to nothing"])
def test_nothing_is_overwritten_without_being_told(tmp_path, command, source, kind):
    style(RATE).save(tmp_path / "s.json")
    target, out = tmp_path / "precious.wav", tmp_path / "out.wav"
    if kind == "file":
        out.write_bytes(b"precious")
    else:
        if kind == "link":
            target.write_bytes(b"precious")
        out.symlink_to(target)
    args = ("render", source, "--settings", tmp_path / "s.json", "-o", out)
    status, _, err = command(*args)
    assert status == 2
    assert "--overwrite" in err
    if kind != "link to nothing":
        assert out.read_bytes() == b"precious"
    assert command(*args, "--overwrite")[0] == 0
    assert out.is_symlink() == (kind != "file")
    assert soundfile.info(out).frames == RATE


def test_settings_and_pages_that_exist_are_kept_too(tmp_path, command, checkpoint, source):
    reference = write(tmp_path / "ref.wav", speech_like(1, RATE, seed=2), RATE)
    (tmp_path / "page.html").write_text("precious")
    args = ("transfer", source, reference, "-o", tmp_path / "out.wav", "--model", checkpoint)
    assert command(*args, "--page", tmp_path / "page.html")[0] == 2
    style(RATE).save(tmp_path / "out.json")
    before = (tmp_path / "out.json").read_bytes()
    status, _, err = command(*args)
    assert status == 2
    assert "out.json exists" in err
    assert (tmp_path / "out.json").read_bytes() == before
    assert not (tmp_path / "out.wav").exists()


def bext(samples: int) -> bytes:
    """A broadcast chunk of EBU Tech 3285, version 1."""
    head = b"a take".ljust(256, b"\0") + b"recorder".ljust(32, b"\0") + b"ref".ljust(32, b"\0") + b"2026-01-02" + b"03:04:05"
    return (head + struct.pack("<QH", samples, 1)).ljust(602, b"\0")


def test_broadcast_chunks_survive_in_wav(tmp_path, source):
    append_chunks(source, [(b"bext", bext(123456789)), (b"iXML", b"<BWFXML/>")])
    render_file(source, style(RATE), tmp_path / "out.wav")
    found = dict(wav_chunks(tmp_path / "out.wav"))
    assert found[b"bext"] == bext(123456789)
    assert found[b"iXML"] == b"<BWFXML/>"
    audio, _ = soundfile.read(tmp_path / "out.wav")
    assert len(audio) == RATE
    render_file(source, style(RATE), tmp_path / "bare.wav", keep_tags=False)
    assert dict(wav_chunks(tmp_path / "bare.wav")) == {}
    np.testing.assert_array_equal(audio, soundfile.read(tmp_path / "bare.wav")[0])


def tagged_flac(path):
    mutagen = pytest.importorskip("mutagen.flac")
    file = mutagen.FLAC(write(path, speech_like(1, RATE), RATE, "PCM_16"))
    file.update({"title": ["Lied"], "artist": ["Jemand", "Anders"], "mood": ["still"]})
    picture = mutagen.Picture()
    picture.type, picture.mime, picture.data = 3, "image/png", PNG
    file.add_picture(picture)
    file.save()
    return path


@pytest.mark.parametrize("ending", ["flac", "wav", "aiff"])
def test_tags_and_cover_survive_from_flac(tmp_path, ending):
    import mutagen

    source = tagged_flac(tmp_path / "in.flac")
    out = tmp_path / f"out.{ending}"
    render_file(source, style(RATE), out, bits="16")
    found = mutagen.File(out)
    if ending == "flac":
        assert found["title"] == ["Lied"]
        assert found["artist"] == ["Jemand", "Anders"]
        assert found.pictures[0].data == PNG
    else:
        assert found.tags["TIT2"].text == ["Lied"]
        assert found.tags["TPE1"].text == ["Jemand", "Anders"]
        assert found.tags["TXXX:mood"].text == ["still"]
        assert found.tags.getall("APIC")[0].data == PNG
    assert soundfile.info(out).frames == RATE


def test_tags_and_cover_survive_from_mp3_and_the_time_reference_in_flac(tmp_path, source):
    id3 = pytest.importorskip("mutagen.id3")
    from mutagen.flac import FLAC

    mp3 = tmp_path / "in.mp3"
    soundfile.write(mp3, speech_like(1, RATE)[0], RATE)
    tags = id3.ID3()
    tags.add(id3.TIT2(encoding=3, text=["Lied"]))
    tags.add(id3.APIC(encoding=3, mime="image/png", type=3, desc="", data=PNG))
    tags.save(mp3)
    render_file(mp3, style(RATE), tmp_path / "out.flac")
    assert FLAC(tmp_path / "out.flac")["title"] == ["Lied"]
    assert FLAC(tmp_path / "out.flac").pictures[0].data == PNG
    append_chunks(source, [(b"bext", bext(4711))])
    render_file(source, style(RATE), tmp_path / "bwf.flac")
    assert FLAC(tmp_path / "bwf.flac")["time_reference"] == ["4711"]


@pytest.mark.parametrize("name", [b"id3 ", b"ID3 "])
def test_id3_in_wav_survives_in_flac(tmp_path, source, name):
    id3 = pytest.importorskip("mutagen.id3")
    from mutagen.flac import FLAC

    tags = id3.ID3()
    tags.add(id3.TIT2(encoding=3, text=["Lied"]))
    tags.save(tmp_path / "tags")
    append_chunks(source, [(b"bext", bext(4711)), (name, (tmp_path / "tags").read_bytes())])
    render_file(source, style(RATE), tmp_path / "out.flac")
    assert FLAC(tmp_path / "out.flac")["title"] == ["Lied"]
    assert FLAC(tmp_path / "out.flac")["time_reference"] == ["4711"]


def test_without_tags_nothing_is_added(tmp_path, source):
    out = write(tmp_path / "out.wav", speech_like(1, RATE), RATE)
    before = out.read_bytes()
    carry_over(source, out, ".wav")
    assert out.read_bytes() == before


def test_settings_follow_the_level_of_the_next_recording(tmp_path, command, checkpoint):
    """The same song 20 dB lower comes out as it did; without following it does not."""
    song = speech_like(4, RATE, seed=1)
    loud = write(tmp_path / "loud.wav", song, RATE)
    quiet = write(tmp_path / "quiet.wav", np.float32(0.1) * song, RATE)
    reference = write(tmp_path / "ref.wav", 0.4 * speech_like(4, RATE, seed=2), RATE)
    assert command("transfer", loud, reference, "-o", tmp_path / "a.wav", "--model", checkpoint)[0] == 0
    args = ("render", quiet, "--settings", tmp_path / "a.json", "--true-peak", "off", "-o")
    assert command(*args, tmp_path / "b.wav", "--follow-level")[0] == 0
    assert command(*args, tmp_path / "c.wav")[0] == 0
    a, b, c = (soundfile.read(tmp_path / f"{n}.wav")[0] for n in "abc")
    apart = [10 * np.log10(np.mean((x - a) ** 2) / np.mean(a**2)) for x in (b, c)]
    assert apart[0] < -40
    assert apart[1] > -10


def test_settings_that_do_not_say_their_level_cannot_follow(tmp_path, command, source):
    style(RATE).save(tmp_path / "s.json")
    status, _, err = command("render", source, "--settings", tmp_path / "s.json", "-o", tmp_path / "o.wav", "--follow-level")
    assert status == 2
    assert "at which level" in err
