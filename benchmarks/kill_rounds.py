"""Kill a build with SIGKILL at random moments, again and again, and compare what it becomes with an undisturbed build.

    python -m benchmarks.kill_rounds --rounds 50 --executor ray

Each round starts or resumes a build and kills, at a random moment, the driver, one worker, all workers' runtime, or the
whole tree of processes. Whenever a corpus is finished its tars are compared (sha256) and a fresh one is begun.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import yaml

from tests.support.builds import hashes, manifest_for, write_sources

VICTIMS = ("driver", "worker", "runtime", "everything")
_PATIENCE_S = 240.0
_ORPHANS_S = 90.0


def descendants(pid: int) -> dict[int, str]:
    """{pid: command line} of all processes below ``pid``."""
    parents: dict[int, int] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with suppress(OSError):
                parents[int(entry)] = int(Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()[1])
    found, todo = {}, [pid]
    while todo:
        parent = todo.pop()
        for child in [p for p, q in parents.items() if q == parent]:
            found[child] = command_line(child)
            todo.append(child)
    return found


def lives(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def command_line(pid: int) -> str:
    """ "" for a process that is gone."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return ""


def is_worker(command: str, driver: str) -> bool:
    """Forked workers have the command line of their driver."""
    return (command.startswith("ray::") and "Agent" not in command) or "spawn_main" in command or command == driver


def kill(pids: list[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


class Rounds:
    """Builds in ``folder``; ``play`` plays one round and returns what happened."""

    def __init__(self, folder: Path, executor: str, workers: int = 2, speakers: int = 6, seconds: float = 120.0):
        self.folder, self.executor, self.workers = folder, executor, workers
        sources = write_sources(folder / "voices", speakers, seconds)
        self.manifest = folder / "manifest.yaml"
        self.manifest.write_text(yaml.safe_dump(manifest_for(sources, folder / "corpus").to_dict()))
        self.out = folder / "corpus"
        reference = folder / "reference"
        code, text = self.run(["--out", str(reference), "--executor", "inline", "--workers", str(workers)])
        if code != 0:
            raise SystemExit(f"the undisturbed build failed with {code}: {text}")
        self.expected = hashes(reference)
        self.finished = 0

    def command(self, extra: list[str]) -> list[str]:
        program = "from pipelines.cli.main import main; main()"
        return [sys.executable, "-c", program, "build", str(self.manifest), "--progress", "lines", *extra]

    def run(self, extra: list[str]) -> tuple[int, str]:
        done = subprocess.run(self.command(extra), capture_output=True, text=True, timeout=_PATIENCE_S)
        return done.returncode, done.stdout + done.stderr

    def play(self, victim: str, rng: random.Random) -> str:
        """Start or resume, kill at a random moment, wait for the end; returns a line for the log."""
        extra = ["--out", str(self.out), "--executor", self.executor, "--workers", str(self.workers)]
        with tempfile.TemporaryFile() as log:
            process = subprocess.Popen(self.command(extra), stdout=log, stderr=log, start_new_session=True)
            try:
                return self._disturb(process, victim, rng, log)
            finally:
                kill([*descendants(process.pid), process.pid])
                process.wait()

    def _disturb(self, process: subprocess.Popen, victim: str, rng: random.Random, log) -> str:
        moment = self._wait_for_the_moment(process, rng)
        below = descendants(process.pid)
        workers = [p for p, command in below.items() if is_worker(command, command_line(process.pid))]
        chosen = {
            "driver": [process.pid],
            "worker": rng.sample(workers, 1) if workers else [],
            "runtime": list(below),
            "everything": [process.pid, *below],
        }[victim]
        kill(chosen)
        code = process.wait(_PATIENCE_S)
        self._wait_for_orphans(below)
        if code not in (0, 3, 1, -signal.SIGKILL):
            log.seek(0)
            raise SystemExit(f"after killing {victim} the build ended with {code}: {log.read().decode()[-3000:]}")
        state = f"killed {victim} ({len(chosen)} processes) {moment}; exit {code}"
        if code == 0:
            self.check()
            state += "; finished, every tar as in the undisturbed build"
        return state

    def _wait_for_the_moment(self, process: subprocess.Popen, rng: random.Random) -> str:
        """A third of the kills hit the start-up, the others the rendering."""
        if rng.random() < 1 / 3:
            delay = rng.uniform(0.0, 4.0)
            with suppress(subprocess.TimeoutExpired):
                process.wait(delay)
            return f"{delay:.2f} s after the start"
        notes, deadline = self.out / ".build/inflight", time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline and not (notes.is_dir() and any(notes.iterdir())):
            time.sleep(0.01)
        delay = rng.uniform(0.0, 2.0)
        with suppress(subprocess.TimeoutExpired):
            process.wait(delay)
        return f"{delay:.2f} s into the rendering"

    def _wait_for_orphans(self, below: dict[int, str]) -> None:
        pids = list(below)
        deadline = time.monotonic() + _ORPHANS_S
        while (left := [p for p in pids if lives(p)]) and time.monotonic() < deadline:
            time.sleep(0.05)
        if left:
            names = [below[p][:120] for p in left]
            kill(left)
            raise SystemExit(f"{len(left)} processes outlived their driver by {_ORPHANS_S:g} s: {names}")

    def check(self) -> None:
        """Compare the finished corpus, then begin another."""
        import shutil

        found = hashes(self.out)
        differing = sorted(name for name in {*found, *self.expected} if found.get(name) != self.expected.get(name))
        if differing:
            raise SystemExit(f"{len(differing)} tars differ from the undisturbed build: {', '.join(differing[:5])}")
        left = [p for p in (self.out / ".build").rglob("*") if p.is_file()]
        if left:
            raise SystemExit(f"the finished build left {left[0]} behind")
        self.finished += 1
        shutil.rmtree(self.out)

    def finish(self) -> None:
        """Let the last corpus end undisturbed and compare it."""
        extra = ["--out", str(self.out), "--executor", self.executor, "--workers", str(self.workers)]
        code, text = self.run(extra)
        if code != 0:
            raise SystemExit(f"the resumed build failed with {code}: {text}")
        self.check()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--executor", choices=["ray", "inline"], default="ray")
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args()
    seed = random.randrange(1 << 32) if options.seed is None else options.seed
    rng = random.Random(seed)
    print(f"seed {seed}")
    with tempfile.TemporaryDirectory() as folder:
        rounds = Rounds(Path(folder), options.executor)
        for number in range(options.rounds):
            print(f"{number + 1:3d}: {rounds.play(VICTIMS[number % len(VICTIMS)], rng)}", flush=True)
        rounds.finish()
        print(f"{options.rounds} kills, {rounds.finished} corpora finished, all byte-identical to the undisturbed one")


if __name__ == "__main__":
    main()
