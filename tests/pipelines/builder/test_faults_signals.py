"""Ctrl-C and SIGTERM, exit statuses, and status from another terminal: the commands as processes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from tests.support.builds import hashes, manifest_for, write_sources

PROGRAM = "from pipelines.cli.main import main; main()"


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> Path:
    return write_sources(tmp_path_factory.mktemp("sources") / "voices", speakers=4, seconds=20.0)


@pytest.fixture
def manifest(sources, reference, tmp_path) -> Path:
    """A manifest whose scan and plan are done."""
    import shutil

    out = tmp_path / "corpus"
    out.mkdir()
    model = manifest_for(sources, out)
    (tmp_path / "manifest.yaml").write_text(yaml.safe_dump(model.to_dict()))
    shutil.copy(reference / "catalog-0000.parquet", out)
    from pipelines.plan.make import make_plan

    make_plan(model, out / "catalog-0000.parquet", out / "plan-0000.parquet")
    return tmp_path / "manifest.yaml"


def pipe(*arguments: str | Path) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", PROGRAM, *map(str, arguments)], capture_output=True, text=True, timeout=120)


def start(manifest: Path) -> subprocess.Popen:
    """A build in a process of its own, once its first shard is committed."""
    command = [sys.executable, "-c", PROGRAM, "build", str(manifest), "--executor", "inline", "--progress", "lines"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    deadline = time.monotonic() + 60
    while not list(manifest.with_name("corpus").glob("*/*.json")):
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return process


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_one_signal_finishes_what_is_in_flight_and_says_how_to_resume(manifest, reference, number, status):
    process = start(manifest)
    process.send_signal(number)
    text, _ = process.communicate(timeout=60)
    assert process.returncode == status, text
    assert "the shards in flight are finished first" in text
    assert "run the same command again to resume" in text
    out = manifest.with_name("corpus")
    committed = len(hashes(out))
    assert 0 < committed < len(hashes(reference))
    assert len(list(out.glob("*/*.json"))) == committed  # none is half there
    assert not list(out.glob(".build/inflight/*"))
    done = pipe("build", manifest, "--executor", "inline")
    assert done.returncode == 0, done.stderr
    assert hashes(out) == hashes(reference)


def test_ctrl_c_twice_stops_now(manifest, reference):
    process = start(manifest)
    process.send_signal(signal.SIGINT)
    while "finished first" not in (line := process.stdout.readline()):
        assert line, "the build ended without a word"
    asked = time.monotonic()
    process.send_signal(signal.SIGINT)
    text, _ = process.communicate(timeout=60)
    assert process.returncode in (130, -signal.SIGINT), text  # a shell shows both as 130
    assert time.monotonic() - asked < 20
    assert pipe("build", manifest, "--executor", "inline").returncode == 0
    assert hashes(manifest.with_name("corpus")) == hashes(reference)


def test_status_from_another_terminal_while_it_builds(manifest):
    process = start(manifest)
    process.send_signal(signal.SIGSTOP)  # a fast machine would be done before anybody can look
    try:
        done = pipe("status", manifest.with_name("corpus"), "--json")
        status = json.loads(done.stdout)
        assert status["finished"] is False
        assert 0 < status["committed"] < status["shards"]
        assert len(status["builders"]) == 1
        assert f"process {process.pid} " in status["builders"][0]
        second = pipe("build", manifest, "--executor", "inline")
        assert second.returncode == 3
        assert second.stderr.startswith("error: another builder (process ")
        assert "Traceback" not in second.stderr
    finally:
        process.kill()
        process.communicate()
    text = pipe("status", manifest.with_name("corpus")).stdout
    assert "stopped; run the build again to resume" in text
    assert "ended without saying so: 1" in text


def test_status_from_another_machine_while_it_builds(manifest, monkeypatch):
    """Another machine cannot look whether the builder's process lives: the lease's clock tells."""
    from pipelines.builder.status import read_status
    from pipelines.storage.open import open_storage
    from stylefx.files.processes import lease

    process = start(manifest)
    process.send_signal(signal.SIGSTOP)
    try:
        monkeypatch.setattr(lease, "machine", lambda: "another machine")
        status = read_status(open_storage(str(manifest.with_name("corpus")))).to_dict()
        assert status["finished"] is False
        assert f"process {process.pid} " in status["builders"][0]
    finally:
        process.kill()
        process.communicate()


def test_exit_statuses_and_one_sentence_each(manifest, reference, tmp_path):
    import shutil

    out = shutil.copytree(reference, tmp_path / "copy")
    assert pipe("verify", out).returncode == 0
    assert pipe("status", tmp_path).returncode == 2
    assert pipe("build", tmp_path / "none.yaml").returncode == 2
    assert pipe("build", manifest, "--shards", "4/4").returncode == 2
    (out / "val/val-000000.json").unlink()
    (out / "index.json").unlink()
    incomplete = pipe("verify", out)
    assert incomplete.returncode == 3
    with open(out / "train/train-000000.tar", "r+b") as file:
        file.seek(5000)
        file.write(b"!!")
    damaged = pipe("verify", out)
    assert damaged.returncode == 4
    assert "damage: train/train-000000: voices-" in damaged.stdout
    assert "Traceback" not in damaged.stderr + incomplete.stderr
