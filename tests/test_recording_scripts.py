"""What scripts/ does with packages of recordings and with the texts that synthetic voices read."""

from __future__ import annotations

import importlib.util
import struct
import sys
import zipfile
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile

SCRIPTS = Path(__file__).parents[1] / "scripts"


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def package(tmp_path) -> Path:
    for name in ("usr/share/game/song.ogg", "usr/share/game/model.bin", "usr/share/doc/game/copyright"):
        path = tmp_path / "package" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return tmp_path / "package"


def files(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}


def test_a_package_keeps_its_recordings_and_its_licences_only(package):
    with zipfile.ZipFile(package / "usr/share/game/data.pk3", "w") as packed:
        packed.writestr("music/a.ogg", b"a")
        packed.writestr("music/a.txt", b"a")
    assert script("unpack_recordings").main([package]) == 0
    assert files(package) == {"usr/share/game/song.ogg", "usr/share/doc/game/copyright", "unpacked/data/music/a.ogg"}


def test_an_archive_writes_nothing_outside_its_folder(package):
    with zipfile.ZipFile(package / "usr/share/game/data.zip", "w") as packed:
        packed.writestr("../../../outside.ogg", b"a")
        packed.writestr("inside.ogg", b"a")
    assert script("unpack_recordings").main([package]) == 0
    assert not list(package.parent.rglob("outside.ogg"))
    assert "unpacked/data/inside.ogg" in files(package)


def test_a_broken_archive_ends_in_a_sentence(package, capsys):
    (package / "usr/share/game/data.zip").write_bytes(b"no zip")
    assert script("unpack_recordings").main([package]) == 2
    assert str(package) in capsys.readouterr().err


def test_speech_of_the_queen_is_cut_as_its_table_says(package):
    entries = [(b"020001P2.SB", b"first"), (b"ROOM.BIN", b"picture"), (b"JOE00011.SB", b"second")]
    offset, table, body = 15 + 21 * len(entries), b"", b""
    for name, content in entries:
        table += struct.pack(">12sBII", name, 0, offset + len(body), len(content))
        body += content
    header = b"QTBLCEM10\0\0\0\1" + struct.pack(">H", len(entries))
    (package / "usr/share/game/queen.1c").write_bytes(header + table + body)
    assert script("unpack_recordings").main([package]) == 0
    speech = package / "unpacked/speech"
    assert {p.name: p.read_bytes() for p in speech.iterdir()} == {"020001P2.mp3": b"first", "JOE00011.mp3": b"second"}


def test_gsm_prompts_become_wav(package):
    sine = np.sin(np.arange(16000) * (2 * np.pi * 500 / 8000)).astype("float32") * 0.5
    raw = package / "usr/share/game/en/hello.gsm"
    raw.parent.mkdir()
    soundfile.write(raw, sine, 8000, format="RAW", subtype="GSM610")
    assert script("unpack_recordings").main([package]) == 0
    samples, rate = soundfile.read(package / "unpacked/en/hello.wav")
    spectrum = np.abs(np.fft.rfft(samples[:8000]))
    assert rate == 8000
    assert abs(len(samples) - 16000) < 320
    assert int(spectrum.argmax()) == 500


def test_voices_read_whole_paragraphs_of_their_own_language(tmp_path):
    voices = script("synthesise_voices")
    folder = tmp_path / "mr/gnome-help"
    folder.mkdir(parents=True)
    native, latin = "वारंवार दाबल्या " * 6, "Turn on bounce keys to ignore key presses " * 3
    (folder / "a.page").write_text(f"<page><p>{native}<em>बटणे</em></p><p>{latin}</p><p>लहान</p></page>", encoding="utf-8")
    voice = next(v for v in voices.VOICES if v.language == "mr")
    assert voices.paragraphs(tmp_path, voice) == [f"{native}बटणे"]


def test_a_voice_that_cannot_speak_leaves_no_file(tmp_path, monkeypatch, capsys):
    voices = script("synthesise_voices")
    monkeypatch.setattr(voices, "VOICES", voices.VOICES[:1])
    assert voices.main(tmp_path) == 2
    assert "does not speak" in capsys.readouterr().err
    assert not list(tmp_path.rglob("*.wav"))
