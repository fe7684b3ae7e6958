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
from stylefx.extras import install_line
from stylefx.training.launch.ray import worker_range
from tests.support.hiding import run_without
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


@pytest.mark.xdist_group("ray")
@pytest.mark.slow
def test_relative_paths_reach_the_workers_and_what_cannot_go_away_is_tried_once(corpus, tmp_path):
    """The corpus by a relative path trains; one that is not there ends at once, with its sentence last."""
    (tmp_path / "corpora").symlink_to(corpus.parent)
    for name, path in (("good", f"corpora/{corpus.name}"), ("bad", "corpora/nowhere")):
        config = small(Path(path), steps=1, validation__every_steps=1)
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(config.model_dump(mode="json")))
    results = {}
    for name in ("good", "bad"):
        command = [
            sys.executable,
            "-m",
            "stylefx.cli",
            "train",
            f"{name}.yaml",
            "--out",
            name,
            "--launcher",
            "ray",
            "--ray-workers",
            "1",
        ]
        environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.getcwd()}
        results[name] = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment, check=False)
    assert results["good"].returncode == 0, results["good"].stderr[-3000:]
    assert (tmp_path / "good/checkpoints/step-00000001").is_dir()
    assert results["bad"].returncode == 2, results["bad"].stderr[-3000:]
    assert "is not a finished corpus" in results["bad"].stderr.splitlines()[-1]


@pytest.mark.parametrize("hidden", [("ray",), ("pandas",)])
def test_without_ray_train_a_sentence_says_what_to_install(tmp_path, hidden):
    (tmp_path / "c.yaml").write_text("steps: 1\ndata: {corpora: nowhere}\n")
    result = run_without(hidden, tmp_path, "stylefx", "train", "c.yaml", "--launcher", "ray")
    assert result.returncode == 2
    assert f"install it with: {install_line('train', 'ray-train')}\n" in result.stderr
    assert "Traceback" not in result.stderr
