"""A keyed sample of the faults of single system calls and of power cuts; `python -m benchmarks.inject_rounds` plays them all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.injection.shim import NO_COMPILER, compiler

ROOT = Path(__file__).parents[3]

pytestmark = pytest.mark.skipif(compiler() is None, reason=NO_COMPILER)


def play(*arguments: str) -> str:
    """The last line; AssertionError with what was found."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-m", *arguments], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip().splitlines()[-1]


def test_whichever_call_of_a_build_fails_or_is_its_last_the_next_run_ends_identically():
    last = play("benchmarks.inject_rounds", "build", "--sample", "40", "--seed", "22")
    assert "40 faults injected" in last
    assert last.endswith("0 broke a promise")


def test_after_a_power_cut_at_a_sync_the_next_run_ends_identically():
    assert play("benchmarks.power_cuts", "build", "--sample", "12", "--seed", "22").endswith("0 broke a promise")


def test_the_same_for_a_training_checkpoint():
    assert play("benchmarks.inject_rounds", "checkpoint", "--sample", "12", "--seed", "22").endswith("0 broke a promise")


def test_the_same_for_a_transfer():
    assert play("benchmarks.inject_rounds", "transfer", "--sample", "6", "--seed", "22").endswith("0 broke a promise")


def test_the_faults_are_counted_over_all_processes_and_are_really_injected(tmp_path):
    """A program of two processes writes four times; the third write is refused, and the whole of it is counted."""
    from benchmarks.injection.shim import environment

    program = """
import errno, os, sys
from pathlib import Path
from benchmarks.injection.shim import Shim
place = Path(sys.argv[1])
shim = Shim()
shim.arm([place], target=int(sys.argv[2]), action=errno.EIO)
pid = os.fork()
if pid == 0:
    for name in "ab":
        os.mkdir(place / name)
    os._exit(0)
os.waitpid(pid, 0)
for name in "cd":
    try:
        os.mkdir(place / name)
    except OSError as error:
        print(error.errno == errno.EIO, shim.fired.split()[0])
shim.disarm()
os.mkdir(place / "not counted")
print(shim.count, sorted(p.name for p in place.iterdir()))
"""
    place = tmp_path / "place"
    place.mkdir()
    run = [sys.executable, "-c", program, str(place), "3"]
    done = subprocess.run(run, env=environment(tmp_path) | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert done.stdout.splitlines() == ["True mkdir", "4 ['a', 'b', 'd', 'not counted']"], done.stderr
