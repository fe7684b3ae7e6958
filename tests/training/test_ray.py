"""Ray Train starts the same training, and goes on after a worker was lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from stylefx.errors import UserError
from stylefx.training.launch_ray import worker_range
from tests.training.conftest import go, losses, small


def test_a_range_of_workers_is_understood_and_checked():
    assert worker_range("4") == (4, 4)
    assert worker_range("2:8") == (2, 8)
    for text in ("0", "4:2", "two"):
        with pytest.raises(UserError, match="--ray-workers"):
            worker_range(text)


def train_workers(pid: int) -> list[int]:
    """The Ray Train workers among the descendants of a process (Linux)."""
    parents, workers = {}, []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(entry.name)] = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            if b"RayTrainWorker" in (entry / "cmdline").read_bytes():
                workers.append(int(entry.name))
        except OSError:
            continue

    def descends(child: int) -> bool:
        while child in parents and child != pid:
            child = parents[child]
        return child == pid

    return sorted(w for w in workers if descends(w))


@pytest.mark.xdist_group("ray")
@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="finds the workers in /proc")
def test_ray_train_loses_a_worker_and_goes_on_to_the_same_end(corpus, tmp_path):
    # a small learning rate, so that rounding does not grow over the steps: the losses then tell which samples were read
    config = small(corpus, steps=60, checkpoints__every_steps=5, validation__every_steps=60, optimiser__learning_rate=1e-5)
    go(config, tmp_path / "one")
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config.model_dump(mode="json")))
    command = [sys.executable, "-m", "stylefx.cli", "train", str(tmp_path / "config.yaml"), "--out", str(tmp_path / "run")]
    with open(tmp_path / "log", "w") as log:
        process = subprocess.Popen(
            [*command, "--launcher", "ray", "--ray-workers", "2"], stdout=log, stderr=subprocess.STDOUT,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        journal, deadline = tmp_path / "run/metrics.jsonl", time.monotonic() + 200
        while time.monotonic() < deadline and (not journal.exists() or len(journal.read_text().splitlines()) < 12):
            assert process.poll() is None, (tmp_path / "log").read_text()
            time.sleep(0.02)
        ours = train_workers(process.pid)
        assert len(ours) >= 2
        os.kill(ours[0], signal.SIGKILL)
        status = process.wait(timeout=250)
    assert status == 0, (tmp_path / "log").read_text()[-3000:]
    train = [[dict(r)["loss"] for r in losses(tmp_path / n) if dict(r)["kind"] == "train"] for n in ("one", "run")]
    assert len(train[1]) == 60
    assert train[1] == pytest.approx(train[0], rel=1e-3)
    assert (tmp_path / "run/curves.png").exists()
