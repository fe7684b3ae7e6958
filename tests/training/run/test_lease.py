"""One run folder, one trainer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest

from stylefx.errors import IncompleteError
from stylefx.training.run import lease as lease_module
from stylefx.training.run.lease import RunLease


def write(run, name: str, **changes) -> None:
    content = {"host": "elsewhere", "machine": "another", "pid": 1, "started_s": 1.0, "renewed_s": time.time()} | changes
    (run / "leases").mkdir(parents=True, exist_ok=True)
    (run / "leases" / f"{name}.json").write_text(json.dumps(content))


def test_a_second_trainer_on_a_run_folder_is_refused_with_status_3(tmp_path):
    with RunLease(tmp_path / "run"):
        with pytest.raises(IncompleteError, match=rf"another trainer \(process {os.getpid()} on .*\) is at work in") as error:
            with RunLease(tmp_path / "run"):
                pass
        assert error.value.exit_status == 3
    with RunLease(tmp_path / "run"):  # the first one left
        pass
    assert not (tmp_path / "run/leases").exists()


def test_the_lease_of_a_killed_trainer_is_taken_at_once(tmp_path):
    code = "import os, pathlib, sys; from stylefx.training.run.lease import RunLease; "
    code += "RunLease(pathlib.Path(sys.argv[1])).__enter__(); os._exit(9)"
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path / "run")], check=False).returncode == 9
    assert len(list((tmp_path / "run/leases").iterdir())) == 1
    with RunLease(tmp_path / "run"):
        assert len(list((tmp_path / "run/leases").iterdir())) == 1


def test_a_trainer_on_another_machine_lives_while_it_renews_whatever_its_clock_says(tmp_path, monkeypatch):
    monkeypatch.setattr(lease_module, "WATCH_S", 0.5)
    write(tmp_path, "silent")
    with RunLease(tmp_path):
        pass
    write(tmp_path, "renewing")
    monkeypatch.setattr(lease_module.time, "sleep", lambda s: write(tmp_path, "renewing", renewed_s=time.time() + s))
    with pytest.raises(IncompleteError, match="on elsewhere"):
        with RunLease(tmp_path):
            pass


def test_a_trainer_whose_lease_was_taken_writes_nothing_more(tmp_path, monkeypatch):
    monkeypatch.setattr(lease_module, "RENEW_S", 0.05)
    with RunLease(tmp_path) as lease:
        lease.check()
        lease._file.unlink()
        lease._thread.join(5)
        with pytest.raises(IncompleteError, match="took over"):
            lease.check()
