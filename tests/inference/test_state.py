"""What a long-lived object keeps, and what a killed command leaves."""

import os
import shutil
import signal
import subprocess
import sys

import pytest

from stylefx.inference.hearing.remembered import Remembered
from tests.inference.conftest import speech_like, write

RATE = 24000


@pytest.fixture
def tool(checkpoint):
    from stylefx.inference.transfer import StyleTransfer

    return StyleTransfer(checkpoint)


def test_a_reference_that_changed_is_heard_again_whatever_its_date(tmp_path, tool):
    source = write(tmp_path / "in.wav", speech_like(3, RATE, seed=1), RATE)
    a = write(tmp_path / "a.wav", speech_like(3, RATE, seed=2), RATE)
    b = write(tmp_path / "b.wav", speech_like(3, RATE, seed=9, pitch_hz=300), RATE)
    reference = tmp_path / "ref.wav"
    shutil.copy(a, reference)
    first = tool.settings(source, [reference])
    date = reference.stat()
    shutil.copy(b, reference)
    os.utime(reference, ns=(date.st_atime_ns, date.st_mtime_ns))
    assert tool.settings(source, [reference]).settings == tool.settings(source, [b]).settings != first.settings


def test_the_same_reference_is_heard_once(tmp_path, tool, monkeypatch):
    source = write(tmp_path / "in.wav", speech_like(3, RATE, seed=1), RATE)
    reference = write(tmp_path / "ref.wav", speech_like(3, RATE, seed=2), RATE)
    heard = []
    real = tool.hear
    monkeypatch.setattr(tool, "hear", lambda path, windows: heard.append(str(path)) or real(path, windows))
    for _ in range(3):
        tool.settings(source, [reference])
    assert heard.count(str(reference)) == 1


def test_what_is_remembered_is_bounded_and_the_oldest_goes_first(tmp_path):
    cache, asked = Remembered(most=2), []
    files = [tmp_path / name for name in "abc"]
    for file in files:
        file.write_text(file.name)

    def ask(file):
        return cache.ask(file, "name", lambda p: asked.append(p.name) or p.name)

    for file in (files[0], files[1], files[0], files[2], files[0]):
        assert ask(file) == file.name
    assert len(cache) == 2
    assert asked == ["a", "b", "c"]
    ask(files[1])
    assert asked[-1] == "b"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_leaves_no_hidden_file(tmp_path, number):
    """The render stops after its first block until the signal comes; the file appears hidden first."""
    from tests.inference.rendering.test_rendering import style

    source = write(tmp_path / "in.wav", speech_like(10, RATE, channels=2), RATE)
    style(RATE).save(tmp_path / "s.json")
    before = {p.name for p in tmp_path.iterdir()}
    code = (
        "import time; from stylefx.audio.writing import AudioWriter as W; write = W.write\n"
        "W.write = lambda self, block: (write(self, block), print('middle', flush=True), time.sleep(100))\n"
        "from stylefx.cli import main; main()"
    )
    args = ["render", source, "--settings", tmp_path / "s.json", "-o", tmp_path / "out.wav", "--true-peak", "off"]
    process = subprocess.Popen([sys.executable, "-c", code, *map(str, args)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert any(b"middle" in line for line in process.stdout), process.communicate()
    assert {p.name for p in tmp_path.iterdir()} != before, process.communicate()
    process.send_signal(number)
    _, err = process.communicate(timeout=100)
    assert process.returncode == 128 + number
    assert b"interrupted" in err
    assert {p.name for p in tmp_path.iterdir()} == before
