"""Errors that cannot go away are not tried again, and are said last."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from stylefx.errors import DamageError, IncompleteError, Interrupted, UserError
from stylefx.training.launch.final import EndedForGood, ends_for_good, recorded, under_torchrun
from tests.training.conftest import small


def torchrun_says(monkeypatch, tmp_path, attempt: int, restarts: int = 3) -> Path:
    file = tmp_path / f"error-{attempt}.json"
    for name, value in {
        "TORCHELASTIC_RUN_ID": "launch", "TORCHELASTIC_MAX_RESTARTS": restarts, "TORCHELASTIC_RESTART_COUNT": attempt,
        "TORCHELASTIC_ERROR_FILE": file,
    }.items():  # fmt: skip
        monkeypatch.setenv(name, str(value))
    return file


@pytest.mark.parametrize("error", [UserError("a wrong key"), DamageError("a bad shard"), Interrupted("stopped", 15)])
def test_what_cannot_go_away_ends_restarted_workers_before_they_load_anything(tmp_path, monkeypatch, error):
    file = torchrun_says(monkeypatch, tmp_path, 0)
    with pytest.raises(type(error)), under_torchrun(tmp_path):
        raise error
    assert json.loads(file.read_text())["message"]["message"] == f"error: {error}"
    file = torchrun_says(monkeypatch, tmp_path, 1)
    with pytest.raises(EndedForGood, match=str(error)) as again, under_torchrun(tmp_path):
        pytest.fail("nothing is to be tried")
    assert again.value.exit_status == error.exit_status
    assert again.value.said_by_another
    assert str(error) in file.read_text()


def test_what_may_go_away_is_tried_again_and_an_old_verdict_is_forgotten(tmp_path, monkeypatch):
    torchrun_says(monkeypatch, tmp_path, 0)
    with pytest.raises(UserError), under_torchrun(tmp_path):
        raise UserError("a wrong key")
    with under_torchrun(tmp_path):  # the same launch name, started by hand again
        assert recorded(tmp_path, "launch") is None
    with pytest.raises(IncompleteError), under_torchrun(tmp_path):
        raise IncompleteError("the server is away")
    assert recorded(tmp_path, "launch") is None


def test_a_rank_that_lost_another_ends_for_its_reason(tmp_path):
    with pytest.raises(DamageError), ends_for_good(tmp_path, "x"):
        raise DamageError("a bad shard")
    with pytest.raises(EndedForGood, match="a bad shard"), ends_for_good(tmp_path, "x"):
        raise IncompleteError("rank 0 lost another rank (Connection closed); all ranks end, go on with --resume")


def test_torchrun_tries_a_wrong_configuration_once_and_ends_with_its_sentence(corpus, tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(small(corpus).model_dump(mode="json") | {"stepz": 1}))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "1", "--max-restarts", "2"]
    command += ["-m", "stylefx.cli", "train", str(path), "--out", str(tmp_path / "run")]
    result = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}, check=False)
    lines = [line for line in result.stderr.splitlines() if "did you mean 'steps'" in line]
    assert result.returncode != 0
    assert len(lines) == 2, result.stderr  # the worker's own, and the report's
    assert lines[-1] in result.stderr.splitlines()[-3:]
