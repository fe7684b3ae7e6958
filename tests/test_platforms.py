"""Where ``fcntl``, ``resource`` and ``fork`` do not exist, as on Windows, and where processes are spawned, as on macOS."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

from pipelines.workers import crew
from tests.support.builds import hashes, manifest_for, run_build, tone_bursts, write_sources

ROOT = Path(__file__).parents[1]

#: in every process, children too: what Windows' Python lacks is gone before any of our packages is imported. What is asked of
#: Linux by its name (sys.platform) stays: SIGKILL to end children, and uname, which numpy wants
BARE = """
import asyncio, multiprocessing.util, os, signal, subprocess, sys, tempfile  # the standard library has its own ways
sys.modules["fcntl"] = sys.modules["resource"] = sys.modules["pwd"] = sys.modules["grp"] = None
for name in ("fork", "forkpty", "pread", "preadv", "getuid", "geteuid", "sched_getaffinity", "sysconf", "mkfifo"):
    if hasattr(os, name):
        delattr(os, name)
for name in ("SIGHUP", "SIGALRM", "setitimer", "alarm"):
    if hasattr(signal, name):
        delattr(signal, name)
"""
#: everything but Ray: corpora, verification, a render, a transfer, a step of training
USE = """
import importlib, pkgutil, sys
import pipelines, stylefx
skipped = ("stylefx.training.launch.ray", "pipelines.workers.ray", "triton", "stylefx.differentiable.operators.triton")
for package in (pipelines, stylefx):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not any(word in module.name for word in skipped) and "__main__" not in module.name:
            importlib.import_module(module.name)
manifest = {manifest!r}
built = stylefx.build_corpus(manifest, out="corpus", workers=1, progress="quiet")
corpus = built.open()
print(len(corpus), next(iter(corpus)).input.shape)
done = stylefx.transfer("a.wav", "b.wav", out="out.wav", model="tiny")
stylefx.render_file("a.wav", done.settings, "again.wav", bits="float")
from stylefx.inference.cli.pipes import is_pipe
print(is_pipe("a.wav"))
"""


@pytest.fixture(scope="module")
def bare(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("bare")
    (folder / "site").mkdir()
    (folder / "site" / "sitecustomize.py").write_text(BARE)
    write_sources(folder / "voices", speakers=3, seconds=4)
    for seed, name in enumerate(("a.wav", "b.wav")):
        soundfile.write(folder / name, tone_bursts(3.0, 24000, seed), 24000)
    return folder


def run(bare: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": f"{bare / 'site'}{os.pathsep}{ROOT}"}
    return subprocess.run([sys.executable, *arguments], cwd=bare, env=environment, capture_output=True, text=True, timeout=300)


def test_everything_but_ray_works_without_fcntl_and_resource(bare):
    manifest = manifest_for(bare / "voices", "corpus").to_dict()
    (bare / "use.py").write_text(USE.replace("{manifest!r}", repr(manifest)))
    done = run(bare, "use.py")
    assert done.returncode == 0, done.stderr
    count, shape = done.stdout.splitlines()[0].split(" ", 1)
    assert int(count) > 0
    assert shape == "(1, 16384)"
    assert (bare / "out.json").is_file()
    assert (bare / "again.wav").is_file()
    for command in (["verify", "corpus"], ["status", "corpus"], ["build", "m.json", "-o", "corpus"]):
        import json

        (bare / "m.json").write_text(json.dumps(manifest))
        done = run(bare, "-m", "pipelines.cli.main", *command)
        assert done.returncode == 0, done.stderr


def test_bytes_are_the_same_where_processes_are_spawned(tmp_path, monkeypatch):
    """As macOS starts them: nothing of the driver's memory is inherited."""
    write_sources(tmp_path / "voices", speakers=3, seconds=4)
    run_build(manifest_for(tmp_path / "voices", tmp_path / "direct"), executor="direct")
    monkeypatch.setattr(crew, "_may_fork", lambda: False)
    with crew.Crew() as workers:
        workers.fork(2)
        assert not workers._idle  # it may not
    run_build(manifest_for(tmp_path / "voices", tmp_path / "spawned"), executor="inline", workers=2)
    assert hashes(tmp_path / "spawned") == hashes(tmp_path / "direct")
