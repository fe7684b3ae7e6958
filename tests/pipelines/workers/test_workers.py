"""Workers of the command: forked while that is safe, spawned otherwise, gone with their driver."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from pipelines.workers.crew import Crew
from pipelines.workers.inline import InlineExecutor
from pipelines.workers.open import choose_executor, open_executor
from stylefx.files.processes.cores import cores
from tests.support.builds import hashes, manifest_for, run_build, write_sources

linux = pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux only")

#: runs the command as it is installed, and writes down how its workers came to be and what it imported
PROGRAM = """
import json, sys
from pipelines.workers import crew as workers
made, start = [], workers.Worker.__init__
def noting(self, fork=False, others=()):
    made.append(fork)
    start(self, fork, others)
workers.Worker.__init__ = noting
from pipelines.cli.main import main
try:
    main()
finally:
    print(json.dumps({"forked": made, "modules": sorted(sys.modules)}))
"""


def run_command(*arguments) -> dict:
    environment = {k: v for k, v in os.environ.items() if k != "OPENBLAS_NUM_THREADS"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *map(str, arguments)], capture_output=True, text=True, timeout=300, env=environment
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def where_from(argument: str) -> dict:
    return {"pid": os.getpid(), "threads": os.environ["OMP_NUM_THREADS"], "argument": argument}


def ask(worker, argument: str) -> dict:
    worker.call(where_from, argument)
    while True:
        for result in worker.receive():
            return result


@linux
def test_the_command_scans_and_renders_with_the_same_few_forked_workers_and_without_ray_or_pandas(tmp_path):
    sources = write_sources(tmp_path / "voices")
    manifest = manifest_for(sources, tmp_path / "c")
    path = tmp_path / "m.yaml"
    path.write_text(json.dumps(manifest.to_dict()))
    seen = run_command("build", path, "--workers", 2, "--progress", "quiet")
    assert seen["forked"] == [True, True]
    slow = {"ray", "torch", "pandas", "webdataset", "scipy.signal", "scipy.stats", "scipy.ndimage"}
    assert not slow & set(seen["modules"])
    run_build(manifest_for(sources, tmp_path / "reference"), executor="direct")
    assert hashes(tmp_path / "c") == hashes(tmp_path / "reference")
    assert hashes(tmp_path / "c", "*/*.parquet") == hashes(tmp_path / "reference", "*/*.parquet")


def test_auto_is_ray_on_a_named_cluster_and_child_processes_on_all_cores_elsewhere():
    assert choose_executor("auto", "ray://head:10001") == "ray"
    assert choose_executor("inline") == "inline"
    executor = open_executor("auto", where_from, None)
    assert isinstance(executor, InlineExecutor)
    assert executor.workers == cores()


def test_a_process_with_threads_is_not_forked():
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    try:
        with Crew() as crew:
            crew.fork(2)
            worker = crew.hire()
            worker.job = "one"
            seen = ask(worker, "spawned")
            assert (seen["argument"], seen["threads"]) == ("spawned", "1")
            assert type(worker.process).__name__ == "SpawnProcess"
            crew.dismiss(worker)
    finally:
        stop.set()
        thread.join()


def test_a_worker_that_died_while_idle_is_not_handed_on():
    with Crew() as crew:
        first = crew.hire()
        pid = ask(first, "")["pid"]
        crew.dismiss(first)
        os.kill(pid, signal.SIGKILL)
        first.process.join(10)
        second = crew.hire()
        assert ask(second, "")["pid"] != pid
        crew.dismiss(second)


@linux
def test_forked_workers_go_when_their_driver_is_killed():
    program = (
        "import os, time\n"
        "from pipelines.workers.crew import Crew\n"
        "crew = Crew(); crew.fork(2)\n"
        "workers = [crew.hire(), crew.hire()]\n"
        "for worker in workers: worker.call(time.sleep, 600)\n"
        "print(*(worker.process.pid for worker in workers), flush=True)\n"
        "time.sleep(600)\n"
    )
    driver = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    pids = [int(word) for word in driver.stdout.readline().split()]
    assert len(pids) == 2
    driver.kill()
    driver.wait()
    driver.stdout.close()
    deadline = time.monotonic() + 20
    while any(_runs(pid) for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _runs(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
