"""``stylefx transfer FOLDER``: nothing is left out in silence, formats are kept, work goes on where it stopped."""

import csv
import os

import numpy as np
import pytest
import soundfile

from stylefx.inference.folder.plan import plan_folder
from stylefx.inference.folder.run import number_of_processes
from stylefx.inference.folder.table import FolderRow, to_html
from stylefx.inference.settings_file import load_settings
from tests.inference.conftest import speech_like, write

RATE = 24000


@pytest.fixture
def reference(tmp_path):
    return write(tmp_path / "ref.wav", speech_like(3, 16000, seed=2), 16000)


@pytest.fixture
def takes(tmp_path):
    """Two recordings of different formats, two things that are none, and one that only looks like one."""
    folder = tmp_path / "takes"
    (folder / "sub").mkdir(parents=True)
    write(folder / "a.wav", speech_like(2, RATE, seed=1), RATE, "PCM_16")
    write(folder / "sub" / "b.flac", speech_like(2, 44100, seed=3, channels=2), 44100, "PCM_24")
    (folder / "notes.txt").write_text("not audio")
    (folder / ".hidden.wav").write_bytes(b"x")
    return folder


def rows_of(out) -> dict[str, dict]:
    with open(out / "transfer.csv", newline="") as file:
        return {os.path.basename(row["file"]): row for row in csv.DictReader(file)}


def test_every_left_out_file_is_named_and_formats_are_kept(tmp_path, command, checkpoint, takes, reference):
    (takes / "broken.wav").write_bytes(b"RIFF nothing")
    out = tmp_path / "out"
    status, text, err = command("transfer", takes, reference, "-o", out, "--model", checkpoint)
    assert status == 3
    assert "notes.txt: not named like a recording" in err
    assert ".hidden.wav: hidden" in err
    assert "failed" in err
    assert "broken.wav" in err
    assert "2 of 3 recordings" in text
    kinds = [(soundfile.info(out / name).format, soundfile.info(out / name).subtype) for name in ("a.wav", "sub/b.flac")]
    assert kinds == [("WAV", "PCM_16"), ("FLAC", "PCM_24")]
    rows = rows_of(out)
    assert {name: row["status"] for name, row in rows.items()} == {
        "a.wav": "done", "b.flac": "done", "broken.wav": "failed", "notes.txt": "left out", ".hidden.wav": "left out",
    }  # fmt: skip
    about = load_settings(out / "a.json").about
    assert float(rows["a.wav"]["loudness_after_lufs"]) == pytest.approx(about["output"]["lufs"], abs=1e-3)
    assert float(rows["a.wav"]["balance_after_db"]) == pytest.approx(about["distances"]["balance"]["after"], abs=1e-3)
    assert rows["a.wav"]["agreement"] in ("good", "fair", "poor")
    assert "b.flac" in (out / "transfer.html").read_text()


def test_work_goes_on_where_it_stopped_and_other_wishes_overwrite_nothing(tmp_path, command, checkpoint, takes, reference):
    out, args = tmp_path / "out", ("transfer", takes, reference, "-o", tmp_path / "out", "--model", checkpoint)
    assert command(*args)[0] == 0
    before = {p: p.stat().st_mtime_ns for p in (out / "a.wav", out / "sub" / "b.flac")}
    (out / "a.wav").unlink()
    (out / "a.json").unlink()
    status, text, _ = command(*args)
    assert status == 0
    assert "1 from an earlier run" in text
    assert (out / "a.wav").exists()
    assert (out / "sub" / "b.flac").stat().st_mtime_ns == before[out / "sub" / "b.flac"]
    status, _, err = command(*args, "--intensity", "0.5")
    assert status == 3
    assert err.count("give --overwrite") == 2
    assert command(*args, "--intensity", "0.5", "--overwrite")[0] == 0
    assert load_settings(out / "a.json").about["intensity"] == 0.5


def test_another_format_may_be_asked_for(tmp_path, command, checkpoint, takes, reference):
    assert command("transfer", takes, reference, "-o", tmp_path / "out", "--model", checkpoint, "--format", "aiff")[0] == 0
    assert soundfile.info(tmp_path / "out" / "a.aiff").subtype == "PCM_16"


def test_a_bad_reference_is_reported_once(tmp_path, command, checkpoint, takes):
    bad = write(tmp_path / "bad.wav", np.zeros((1, RATE)), RATE)
    status, _, err = command("transfer", takes, bad, "-o", tmp_path / "out", "--model", checkpoint)
    assert status == 2
    assert err.count("bad.wav") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_processes_give_the_files_of_one(tmp_path, command, checkpoint, takes, reference):
    args = ("transfer", takes, reference, "--model", checkpoint)
    assert command(*args, "-o", tmp_path / "one", "--jobs", "1")[0] == 0
    assert command(*args, "-o", tmp_path / "two", "--jobs", "2")[0] == 0
    for name in ("a.wav", "sub/b.flac"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_an_album_has_one_setting_and_keeps_its_levels(tmp_path, command, checkpoint, reference):
    folder, out = tmp_path / "album", tmp_path / "out"
    folder.mkdir()
    loud = speech_like(3, RATE, seed=1)
    write(folder / "1.wav", loud, RATE)
    write(folder / "2.wav", np.float32(10 ** (-12 / 20)) * loud, RATE)
    args = ("transfer", folder, reference, "-o", out, "--model", checkpoint, "--album", "--amount", "dynamics=0")
    assert command(*args)[0] == 0
    first, second = (load_settings(out / f"{n}.json") for n in (1, 2))
    assert first.settings[:2] == second.settings[:2]
    a, b = (soundfile.read(out / f"{n}.wav")[0] for n in (1, 2))
    quieter = 10 * np.log10(np.mean(b[RATE:] ** 2) / np.mean(a[RATE:] ** 2))
    assert quieter == pytest.approx(-12.0, abs=1.0)  # but for what the limiter takes of the louder one


@pytest.mark.slow
def test_an_album_goes_on_where_it_stopped_with_any_number_of_processes(tmp_path, command, checkpoint, reference):
    folder, whole = tmp_path / "album", tmp_path / "whole"
    folder.mkdir()
    for number in (1, 2, 3):
        write(folder / f"{number}.wav", 0.3 * number * speech_like(2, RATE, seed=number), RATE)
    args = ("transfer", folder, reference, "--model", checkpoint, "--album")
    assert command(*args, "-o", whole)[0] == 0
    files = {p.name: p.read_bytes() for p in whole.iterdir()}
    kept = (whole / "1.wav").stat().st_mtime_ns
    for name in ("2.wav", "3.json"):
        (whole / name).unlink()
    (whole / "3.wav").unlink()
    (whole / "2.json").unlink()
    status, text, _ = command(*args, "-o", whole, "--jobs", "2")
    assert status == 0
    assert "3 of 3 recordings (1 from an earlier run)" in text
    assert (whole / "1.wav").stat().st_mtime_ns == kept
    for name, content in files.items():
        if name[0] in "123":
            assert (whole / name).read_bytes() == content, name
    assert "3 from an earlier run" in command(*args, "-o", whole)[1]
    write(folder / "3.wav", 0.5 * speech_like(2, RATE, seed=9), RATE)
    status, _, err = command(*args, "-o", whole)
    assert status == 2, "it is another album, and nothing is overwritten"
    assert "--overwrite" in err


def test_linked_folders_are_named(tmp_path, takes):
    (takes / "again").symlink_to(takes / "sub", target_is_directory=True)
    (takes / "gone.wav").symlink_to(tmp_path / "nothing.wav")
    left = {path.name: why for path, why in plan_folder(takes, tmp_path / "out").left_out}
    assert left["again"] == "a linked folder"
    assert left["gone.wav"] == "a link to nothing"


@pytest.mark.parametrize(("asked", "files", "expected"), [(3, 10, 3), (8, 2, 2), (None, 3, 1)])
def test_processes_are_no_more_than_asked_or_worth_it(asked, files, expected):
    assert number_of_processes(asked, files) == expected


def test_names_in_the_table_are_escaped():
    page = to_html([FolderRow("<!--<script>.wav", "failed", note="<b>")], "<i>")
    assert "<script>" not in page
    assert "<!--" not in page
    assert "&lt;b&gt;" in page
