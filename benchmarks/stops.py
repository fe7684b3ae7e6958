"""How long a stop takes at every phase of a training, and what is kept when ranks are killed.

python -m benchmarks.stops phases            seconds from SIGTERM to the saved checkpoint and to the process' end
python -m benchmarks.stops goodput           two gloo ranks under torchrun, one killed after every 15 s of training
python -m benchmarks.stops processes         steps per second and CPU seconds per step of one and of two processes
"""

from __future__ import annotations

import argparse
import os
import random
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from stylefx.training.run.choice import step_folders
from tests.support.stored_corpus import make_corpus

SMALL = {
    "steps": 100000, "global_batch": 4, "device": "cpu", "threads": 1,
    "data": {"crop_samples": 17000, "workers": 2, "window_shards": 1},
    "model": {"encoder": {"name": "tiny", "width": 8, "num_bands": 40, "embedding_size": 32}, "controller": {"hidden": 16}},
    "validation": {"every_steps": 100000}, "checkpoints": {"every_steps": 100000},
    "logging": {"every_steps": 1, "backends": []},
}  # fmt: skip


def prepared(folder: Path, **changes: object) -> Path:
    """A corpus and a configuration; ``changes`` as section__key."""
    corpus = folder / "corpus"
    if not corpus.exists():
        make_corpus(corpus, {"train": [40, 40], "val": [64]}, half_frames=20000)
    data = {name: dict(value) if isinstance(value, dict) else value for name, value in SMALL.items()}
    data["data"]["corpora"] = str(corpus)
    for name, value in changes.items():
        section, _, key = name.partition("__")
        if key:
            data.setdefault(section, {})[key] = value
        else:
            data[section] = value
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(data))
    return path


def command(config: Path, run: Path) -> list[str]:
    return [sys.executable, "-u", "-m", "stylefx.cli", "train", str(config), "--out", str(run), "--resume"]


def saved(run: Path) -> int:
    return max((int(f.name[5:]) for f in step_folders(run / "checkpoints")), default=-1)


def await_line(process: subprocess.Popen, pattern: str) -> None:
    for line in process.stdout:
        if re.search(pattern, line):
            return
    raise SystemExit(f"the training ended before it said {pattern!r}")


#: phase -> (changes of the configuration, the line after which the signal comes, seconds after it)
PHASES = {
    "starting": ({}, None, 4.0),
    "in a step": ({}, r"^step 5/", 0.01),
    "in a long step (64 passes)": ({"micro_batch": 1, "global_batch": 64}, r"^step 1/", 2.0),
    "in a validation": ({"validation__every_steps": 3, "checkpoints__every_steps": 100000}, r"^step 3/", 0.3),
    "while a checkpoint is written": ({"checkpoints__every_steps": 1}, r"^step 5/", 0.0),
}


def phases(folder: Path) -> None:
    print("phase                              to the checkpoint   to the end   exit status")
    for number, (name, (changes, pattern, wait)) in enumerate(PHASES.items()):
        config, run = prepared(folder, **changes), folder / f"run-{number}"
        process = subprocess.Popen(command(config, run), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if pattern is not None:
            await_line(process, pattern)
        time.sleep(wait)
        process.send_signal(signal.SIGTERM)
        began, before, at = time.time(), saved(run), None
        while process.poll() is None:
            if at is None and saved(run) > before:
                at = time.time()
            time.sleep(0.01)
        to_save = f"{(at or began) - began:8.2f} s" if at else "  saved before" if saved(run) >= 0 else "  nothing yet"
        print(f"{name:34} {to_save:>16} {time.time() - began:10.2f} s   {process.returncode}", flush=True)


def children(pid: int) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(entry.read_text().rsplit(")", 1)[1].split()[1]) == pid:
                found.append(int(entry.parent.name))
        except OSError:
            continue
    return sorted(found)


def goodput(folder: Path, seconds: float, every_s: float, checkpoint_steps: int) -> None:
    config, run, log = prepared(folder, checkpoints__every_steps=checkpoint_steps), folder / "goodput", folder / "log"
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--max-restarts", "1000"]
    with open(log, "w") as output:
        process = subprocess.Popen([*launch, *command(config, run)[2:]], stdout=output, stderr=subprocess.STDOUT)

        def made() -> int:
            return len(re.findall(r"^step \d+/", log.read_text(), re.MULTILINE))

        until, kills = time.monotonic() + seconds, 0
        while time.monotonic() < until:
            seen = made()
            while made() == seen and time.monotonic() < until:  # until it trains (again)
                time.sleep(0.2)
            time.sleep(min(every_s, max(until - time.monotonic(), 0)))
            if time.monotonic() < until:
                os.kill(random.choice(children(process.pid)), signal.SIGKILL)
                kills += 1
                time.sleep(1)
        process.send_signal(signal.SIGTERM)
        process.wait(120)
    kept = saved(run)
    print(f"{kills} kills, one after every {every_s:.0f} s of training, checkpoints every {checkpoint_steps} steps")
    print(f"{made()} steps made, {kept} kept: goodput {kept / made():.3f}")


def processes(folder: Path, steps: int) -> None:
    for world in (1, 2, 1, 2):
        config, run = prepared(folder, steps=steps, validation__every_steps=steps), folder / f"world-{world}-{time.time_ns()}"
        launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(world)]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        lines = []
        with subprocess.Popen(
            [*launch, *command(config, run)[2:]], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as ran:
            lines += [(time.monotonic(), line) for line in ran.stdout if re.match(r"step \d+/", line)]
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        took = lines[-2][0] - lines[1][0]
        print(f"{world} process(es): {(len(lines) - 3) / took:.2f} steps/s, {cpu:.0f} CPU seconds with the start", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["phases", "goodput", "processes"])
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--every", type=float, default=15.0, help="seconds of training between two kills")
    parser.add_argument("--checkpoints", type=int, default=5, help="steps between two checkpoints")
    parser.add_argument("--steps", type=int, default=60)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if options.what == "phases":
            phases(Path(folder))
        elif options.what == "goodput":
            goodput(Path(folder), options.seconds, options.every, options.checkpoints)
        else:
            processes(Path(folder), options.steps)


if __name__ == "__main__":
    main()
