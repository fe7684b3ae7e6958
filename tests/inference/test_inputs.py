"""Inputs that went wrong once: channels that cancel, constant offsets, and what comes through pipes."""

import os
import subprocess
import sys
import threading

import numpy as np
import pytest
import soundfile

from stylefx.effects.presets import deepafx_st_chain
from stylefx.inference.hearing.windows import analyse
from stylefx.inference.settings_file import load_settings
from tests.inference.conftest import speech_like, write

RATE = 24000


@pytest.fixture
def tool(checkpoint):
    from stylefx.inference.transfer import StyleTransfer

    return StyleTransfer(checkpoint)


def controls(style) -> np.ndarray:
    """Those of the model's own effects."""
    kept = [e for e in style.settings if "offset_cutoff_hz" not in e["settings"]]
    return deepafx_st_chain().controls(kept)


def test_antiphase_stereo_is_heard_by_channel_power_and_said(tmp_path, tool):
    mono = speech_like(4, RATE, seed=1)[0]
    reference = write(tmp_path / "ref.wav", speech_like(4, RATE, seed=2), RATE)
    both = write(tmp_path / "both.wav", np.stack([mono, mono]), RATE)
    anti = write(tmp_path / "anti.wav", np.stack([mono, -mono]), RATE)
    expected, found = (tool.settings(path, reference) for path in (both, anti))
    np.testing.assert_allclose(controls(found), controls(expected), atol=1e-4)
    assert "channels cancel" in found.about["warnings"][0]
    assert "warnings" not in expected.about


def test_channels_that_only_partly_cancel_are_summed(tmp_path):
    rng = np.random.default_rng(0)
    audio = 0.1 * rng.standard_normal((2, 2 * RATE)).astype(np.float32)
    heard = analyse(write(tmp_path / "a.wav", audio, RATE), RATE, RATE, 1)
    assert heard.warnings() == []


def test_an_offset_is_neither_heard_nor_amplified(tmp_path, tool):
    audio = speech_like(4, RATE, seed=1)
    reference = write(tmp_path / "ref.wav", 0.5 * speech_like(4, RATE, seed=2), RATE)
    clean = write(tmp_path / "clean.wav", audio, RATE)
    shifted = write(tmp_path / "dc.wav", audio + np.float32(0.2), RATE)
    expected, found = tool.settings(clean, reference), tool.settings(shifted, reference)
    np.testing.assert_allclose(controls(found), controls(expected), atol=0.01)
    assert "offset" in found.about["warnings"][0]
    done = tool.transfer(shifted, reference, tmp_path / "out.wav")
    out = soundfile.read(tmp_path / "out.wav")[0][RATE:]
    assert abs(out.mean()) < 0.002 < 0.2 * 10 ** (done.style.output_gain_db / 20)


def piped(*args, data: bytes) -> subprocess.CompletedProcess:
    code = "from stylefx.cli import main; main()"
    return subprocess.run([sys.executable, "-c", code, *map(str, args)], input=data, capture_output=True, check=False)


def test_pipes_give_the_bytes_of_files(tmp_path, command):
    from tests.inference.rendering.test_rendering import style

    source = write(tmp_path / "in.wav", speech_like(2, RATE), RATE)
    style(RATE).save(tmp_path / "s.json")
    assert command("render", source, "--settings", tmp_path / "s.json", "-o", tmp_path / "out.wav")[0] == 0
    done = piped("render", "-", "--settings", tmp_path / "s.json", "-o", "-", data=source.read_bytes())
    assert done.returncode == 0, done.stderr
    assert done.stdout == (tmp_path / "out.wav").read_bytes()
    assert b"LUFS" in done.stderr


def test_a_transfer_reads_named_pipes(tmp_path, command, checkpoint):
    source = write(tmp_path / "in.wav", speech_like(2, RATE, seed=1), RATE)
    reference = write(tmp_path / "ref.wav", speech_like(2, RATE, seed=2), RATE)
    assert command("transfer", source, reference, "-o", tmp_path / "a.wav", "--model", checkpoint)[0] == 0
    os.mkfifo(tmp_path / "pipe")
    feeder = threading.Thread(target=lambda: (tmp_path / "pipe").write_bytes(source.read_bytes()))
    feeder.start()
    assert command("transfer", tmp_path / "pipe", reference, "-o", tmp_path / "b.wav", "--model", checkpoint)[0] == 0
    assert load_settings(tmp_path / "b.json").about["input"]["path"] == str(tmp_path / "pipe"), "not that of a temporary copy"
    feeder.join()
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()


def test_what_no_pipe_brings_is_one_sentence(tmp_path):
    from tests.inference.rendering.test_rendering import style

    style(RATE).save(tmp_path / "s.json")
    for data in (b"", b"no audio at all" * 50):
        done = piped("render", "-", "--settings", tmp_path / "s.json", "-o", tmp_path / "out.wav", data=data)
        assert done.returncode == 2
        assert b"Traceback" not in done.stderr
        assert b"standard input" in done.stderr
        assert not (tmp_path / "out.wav").exists()
