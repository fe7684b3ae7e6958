"""Bad input: one sentence, the right exit status, and nothing half-written."""

import os
import resource
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from stylefx.effects.presets import deepafx_st_chain
from stylefx.inference.settings_file import StyleSettings
from tests.inference.conftest import speech_like, write

RATE = 24000


@pytest.fixture
def good(tmp_path):
    return write(tmp_path / "good.wav", speech_like(2, RATE), RATE)


def with_nan(path):
    audio = speech_like(2, RATE)
    audio[0, 30000] = np.nan
    return write(path, audio, RATE)


def truncated(path):
    write(path, speech_like(2, RATE), RATE, "PCM_16")
    path.write_bytes(path.read_bytes()[:60044])
    return path


BAD_RECORDINGS = {
    "missing": (lambda p: p, "does not exist"),
    "empty": (lambda p: (p.touch(), p)[1], "empty"),
    "no samples": (lambda p: write(p, np.zeros((1, 0)), RATE), "no audio frames"),
    "not audio": (lambda p: (p.write_text("hello" * 99), p)[1], "cannot be decoded"),
    "NaN": (with_nan, "NaN"),
    "three channels": (lambda p: write(p, speech_like(2, RATE, channels=3), RATE), "3 channels"),
    "too short": (lambda p: write(p, speech_like(0.4, RATE), RATE), "0.5 s"),
    "silent": (lambda p: write(p, np.zeros((1, 2 * RATE)), RATE), "silent"),
    "a folder": (lambda p: (p.mkdir(), p)[1], "folder|no recordings"),
}


def check(result, status: int, message: str, folder, left: set) -> None:
    import re

    code, out, err = result
    assert code == status, (out, err)
    sentence = [line for line in err.splitlines() if line.startswith("error: ")]
    assert len(sentence) == 1, err
    assert re.search(message, sentence[0]), sentence
    assert "Traceback" not in err
    assert {p.name for p in folder.iterdir()} == left, "something was left behind"


@pytest.mark.parametrize("role", ["input", "reference"])
@pytest.mark.parametrize("kind", BAD_RECORDINGS)
def test_bad_recordings(tmp_path, command, checkpoint, good, kind, role):
    make, message = BAD_RECORDINGS[kind]
    bad = make(tmp_path / "bad.wav")
    before = {p.name for p in tmp_path.iterdir()}
    pair = (bad, good) if role == "input" else (good, bad)
    result = command("transfer", *pair, "-o", tmp_path / "out.wav", "--model", checkpoint)
    check(result, 2, message, tmp_path, before)


def test_nan_far_into_a_long_file_leaves_nothing(tmp_path, command):
    """The render meets it after many blocks are written."""
    audio = np.tile(speech_like(5, RATE), 4)
    audio[0, -5] = np.inf
    bad = write(tmp_path / "bad.wav", audio, RATE)
    StyleSettings.of(deepafx_st_chain(), None).save(tmp_path / "s.json")
    before = {p.name for p in tmp_path.iterdir()}
    check(
        command("render", bad, "--settings", tmp_path / "s.json", "-o", tmp_path / "o.wav"), 2, "NaN|infinite", tmp_path, before
    )


@pytest.mark.parametrize("kind", ["missing", "damaged", "not ours", "half"])
def test_bad_checkpoints(tmp_path, command, checkpoint, good, kind):
    models = tmp_path / "models"
    models.mkdir()
    weights, card = checkpoint.read_bytes(), checkpoint.with_suffix(".json").read_bytes()
    if kind == "damaged":
        weights = weights[:-100] + bytes(100)
    if kind == "not ours":
        card = b'{"hello": 1}'
    if kind != "missing":
        (models / "model.safetensors").write_bytes(weights)
        if kind != "half":
            (models / "model.json").write_bytes(card)
    before = {p.name for p in tmp_path.iterdir()}
    result = command("transfer", good, good, "-o", tmp_path / "out.wav", "--model", models / "model")
    check(result, 2, "model", tmp_path, before)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--intensity", "2"), "intensity"),
        (("--weight", "1", "--weight", "2"), "weights"),
        (("--weight", "-1"), "positive"),
        (("--loudness", "loud"), "loudness"),
        (("--true-peak", "high"), "true-peak"),
        (("--windows", "0"), "windows"),
        (("--refine", "-1"), "refine"),
        (("--page", "/nowhere/page.html"), "does not exist"),
    ],
)
def test_bad_options(tmp_path, command, checkpoint, good, options, message):
    before = {p.name for p in tmp_path.iterdir()}
    result = command("transfer", good, good, "-o", tmp_path / "out.wav", "--model", checkpoint, *options)
    check(result, 2, message, tmp_path, before)


@pytest.mark.parametrize(
    ("output", "message"),
    [("nowhere/out.wav", "does not exist"), ("out.mp3", "wav"), (".", "."), ("good.wav", "input itself|is a reference")],
)
def test_outputs_that_cannot_be_written(tmp_path, command, checkpoint, good, output, message):
    before = {p.name for p in tmp_path.iterdir()}
    content = good.read_bytes()
    result = command("transfer", good, good, "-o", tmp_path / output, "--model", checkpoint)
    check(result, 2, message, tmp_path, before)
    assert good.read_bytes() == content


def test_settings_never_replace_a_file_that_holds_none(tmp_path, command, checkpoint, good):
    """The settings' name follows from the output's: a model's card beside it must survive."""
    (tmp_path / "model.json").write_text('{"format": "stylefx-model"}')
    before = {p.name for p in tmp_path.iterdir()}
    result = command("transfer", good, good, "-o", tmp_path / "model.wav", "--model", checkpoint, "--overwrite")
    check(result, 2, "--settings", tmp_path, before)
    assert "stylefx-model" in (tmp_path / "model.json").read_text()
    assert command("transfer", good, good, "-o", tmp_path / "o.wav", "--model", checkpoint)[0] == 0
    assert command("transfer", good, good, "-o", tmp_path / "o.wav", "--model", checkpoint, "--overwrite")[0] == 0


def test_a_reference_is_never_overwritten(tmp_path, command, checkpoint, good):
    other = write(tmp_path / "other.wav", speech_like(2, RATE, seed=4), RATE)
    before, content = {p.name for p in tmp_path.iterdir()}, other.read_bytes()
    result = command("transfer", good, other, "-o", other, "--model", checkpoint)
    check(result, 2, "is a reference", tmp_path, before)
    assert other.read_bytes() == content


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission(tmp_path, command, checkpoint, good):
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    result = command("transfer", good, good, "-o", locked / "out.wav", "--model", checkpoint)
    check(result, 2, "permission", locked, set())


@pytest.mark.parametrize("extension", ["wav", "flac"])
def test_a_full_disk_leaves_nothing_and_exits_with_3(tmp_path, good, extension):
    """A limit on file sizes stands in for a full disk: the system refuses a write in the middle."""
    StyleSettings.of(deepafx_st_chain(), None).save(tmp_path / "s.json")
    before = {p.name for p in tmp_path.iterdir()}
    code = (
        f"import resource, sys; from stylefx.cli import main; sys.argv = ['stylefx', 'render', {str(good)!r}, '--settings', "
        f"{str(tmp_path / 's.json')!r}, '-o', {str(tmp_path / ('out.' + extension))!r}]\n"
        f"import stylefx.inference.cli.render\nresource.setrlimit(resource.RLIMIT_FSIZE, ({1 << 15}, {resource.RLIM_INFINITY}))\n"
        "main()"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    check((done.returncode, done.stdout, done.stderr), 3, "disk is full", tmp_path, before)


def test_a_truncated_input_is_rendered_as_far_as_it_goes_with_a_warning(tmp_path, command, checkpoint, good):
    cut = truncated(tmp_path / "cut.wav")
    code, _, err = command("transfer", cut, good, "-o", tmp_path / "out.wav", "--model", checkpoint)
    assert code == 0, err
    assert "warning: " in err
    assert "its header promises" in err
    assert soundfile.info(tmp_path / "out.wav").frames == 30000
