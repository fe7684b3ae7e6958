"""Checkpoints heal: a damaged or half-written one costs the steps since the one before, never the run."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path

import pytest

from stylefx.errors import IncompleteError, UserError
from stylefx.training.run import checkpoints as checkpoints_module
from stylefx.training.run.choice import SET_ASIDE
from tests.training.conftest import go, losses, small


@pytest.fixture
def run(undisturbed, tmp_path) -> Path:
    """A finished run of six steps with the checkpoints of steps 4 and 6 (and 3, if that was the best)."""
    return shutil.copytree(undisturbed, tmp_path / "run")


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)


def folders(run: Path) -> list[str]:
    return sorted(p.name for p in (run / "checkpoints").glob("step-*"))


@pytest.mark.parametrize("file", ["training.safetensors", "model.safetensors", "state.json", "model.json"])
def test_a_damaged_newest_checkpoint_is_passed_over_and_named(corpus, undisturbed, run, file):
    path = run / "checkpoints/step-00000006" / file
    damage(path) if file.endswith("tensors") else path.write_text(path.read_text()[:-9])
    said = go(small(corpus), run, resume=True)
    assert any("step-00000006" in line and "going on from step-00000004" in line for line in said)
    assert losses(run) == losses(undisturbed)


def test_a_changed_number_in_the_state_is_damage_too(corpus, run):
    path = run / "checkpoints/step-00000006/state.json"
    path.write_text(path.read_text().replace('"position": 2', '"position": 3'))
    assert any("state.json is damaged" in line for line in go(small(corpus), run, resume=True))


@pytest.mark.parametrize("lost", ["last.json", "step-00000006"])
def test_without_its_pointer_or_its_newest_folder_a_run_goes_on_from_what_is_whole(corpus, undisturbed, run, lost):
    path = run / "checkpoints" / lost
    path.unlink() if path.is_file() else shutil.rmtree(path)
    go(small(corpus), run, resume=True)
    assert losses(run) == losses(undisturbed)


def test_a_run_never_begins_anew_over_its_checkpoints(corpus, run):
    (run / "checkpoints/last.json").unlink()
    with pytest.raises(UserError, match="holds a run already"):
        go(small(corpus), run)
    before = folders(run)
    for folder in before:
        damage(run / "checkpoints" / folder / "training.safetensors")
    with pytest.raises(UserError, match=r"none of the \d checkpoints in .* is whole"):
        go(small(corpus), run, resume=True)
    assert folders(run) == before


def test_a_run_goes_back_to_the_step_that_is_asked_for_and_removes_nothing(corpus, undisturbed, run):
    said = go(small(corpus), run, resume=True, step=4)
    assert any("going on from step-00000004; 1 later checkpoints are set aside" in line for line in said)
    assert (run / "checkpoints" / SET_ASIDE / "step-00000006" / "state.json").is_file()
    assert losses(run) == losses(undisturbed)
    with pytest.raises(UserError, match=r"holds no checkpoint of step 5; --resume takes one of: .*4, 6"):
        go(small(corpus), run, resume=True, step=5)


@pytest.mark.parametrize("at", ["save_weights", "sealed", "publish", "read_pointer"])
def test_a_kill_inside_a_save_loses_and_repeats_nothing(corpus, undisturbed, tmp_path, at):
    """A child process dies in the second save, at every stage of it: the run goes on and equals the undisturbed one."""
    run, pid = tmp_path / "run", os.fork()
    if pid == 0:
        calls, original = [], getattr(checkpoints_module, at)

        def dying(*args, **options):
            calls.append(at)
            return os._exit(9) if len(calls) == 2 else original(*args, **options)

        setattr(checkpoints_module, at, dying)
        go(small(corpus), run)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 9
    go(small(corpus), run, resume=True)
    assert losses(run) == losses(undisturbed)
    assert not list((run / "checkpoints").glob(".step*"))


def test_a_resume_exactly_at_the_end_of_an_epoch_loses_and_repeats_nothing(corpus, tmp_path):
    """Eleven samples in batches of eleven: every checkpoint lies at the end of an epoch."""
    settings = {"global_batch": 11, "steps": 3, "checkpoints__every_steps": 1, "checkpoints__keep_last": 9}
    config = small(corpus, **settings, validation__every_steps=1)
    go(config, tmp_path / "whole")
    shutil.copytree(tmp_path / "whole", tmp_path / "run")
    state = json.loads((tmp_path / "run/checkpoints/step-00000001/state.json").read_text())
    assert (state["epoch"], state["position"]) == (1, 0)
    for step in (1, 2):
        go(config, tmp_path / "run", resume=True, step=step)
        assert losses(tmp_path / "run") == losses(tmp_path / "whole")


def refusing(monkeypatch, count: int, number: int = errno.ENOSPC) -> list[Path]:
    """The first ``count`` saves meet a full disk after half of their bytes."""
    refused: list[Path] = []

    def full(path, data, original=checkpoints_module.write_whole):
        if path.name == "state.json" and len(refused) < count:
            refused.append(path)
            raise OSError(number, os.strerror(number))
        original(path, data)

    monkeypatch.setattr(checkpoints_module, "write_whole", full)
    return refused


def test_a_save_that_a_full_disk_refuses_is_said_leaves_nothing_and_is_tried_again(corpus, undisturbed, tmp_path, monkeypatch):
    refusing(monkeypatch, 2)
    said = go(small(corpus), tmp_path / "run")
    lines = [line for line in said if "is not saved" in line]
    assert len(lines) == 2
    assert "the checkpoint of step 2 is not saved (no space left in" in lines[0]
    assert "tried again at the next one" in lines[0]
    assert losses(tmp_path / "run") == losses(undisturbed)
    assert not list((tmp_path / "run/checkpoints").glob(".step*"))


@pytest.mark.parametrize(("number", "words"), [(errno.ENOSPC, "no space left"), (errno.EROFS, "no permission to write")])
def test_three_refused_saves_in_a_row_end_the_run_with_status_3(corpus, tmp_path, monkeypatch, number, words):
    refused = refusing(monkeypatch, 99, number)
    with pytest.raises(IncompleteError, match=f"{words}.*--resume") as error:
        go(small(corpus, steps=40), tmp_path / "run")
    assert error.value.exit_status == 3
    assert len(refused) == 3
    assert not list((tmp_path / "run/checkpoints").iterdir())


def test_a_read_only_run_folder_is_one_sentence_and_status_3(corpus, tmp_path, monkeypatch):
    from stylefx.training.run import lease

    def refuse(*args):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(lease, "write_whole", refuse)
    with pytest.raises(IncompleteError, match=r"no permission to write its lease in .*; make it writable") as error:
        go(small(corpus), tmp_path / "run")
    assert error.value.exit_status == 3


def test_a_journal_that_a_full_disk_refuses_is_written_later(corpus, undisturbed, tmp_path, monkeypatch):
    from stylefx.training.run import journal

    calls = []

    def full(file, data, original=os.write):
        calls.append(len(data))
        if len(calls) in (2, 3):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return original(file, data[:7] if len(calls) == 4 else data)

    monkeypatch.setattr(journal.os, "write", full)
    said = go(small(corpus), tmp_path / "run")
    assert sum("takes no more lines" in line for line in said) == 1
    assert losses(tmp_path / "run") == losses(undisturbed)
