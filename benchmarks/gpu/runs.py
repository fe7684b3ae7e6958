"""The trainer fed by the loader from tars on the local disk, and a step of one rank through NCCL."""

from __future__ import annotations

import json
import os
import socket
import statistics
import sys
import tempfile
import time
from pathlib import Path
from unittest import mock

import torch

from benchmarks import loader as loader_benchmark
from benchmarks.gpu.clock import forget, timed
from benchmarks.gpu.journal import Journal
from benchmarks.gpu.steps import RATE, make_audio, make_model
from stylefx.training.config import validate
from stylefx.training.launch.local import run_training
from stylefx.training.processes.distributed import join


def fed(journal: Journal, device: torch.device, batches: list[int], samples: int, steps: int, encoder: dict) -> None:
    """``stylefx train`` as it is, without validation: examples a second after the first half of the steps."""
    loader_benchmark.HALF = samples
    with tempfile.TemporaryDirectory() as folder:
        corpus = loader_benchmark.write_tars(Path(folder) / "corpus", 512 if device.type == "cuda" else 8, "flac")
        journal.say("corpus written")
        for number, (batch, options) in enumerate((b, o) for b in batches for o in _variants(device)):
            if journal.left() < 25:
                journal.say(f"loader-fed, {batch}, {options}: left out, no time")
                continue
            run, options = Path(folder) / f"run{number}", dict(options)
            sys.setswitchinterval(options.pop("switch_s", 0.005))
            count = max(48, steps * 16 // batch) if device.type == "cuda" else steps
            config = {
                "steps": count, "global_batch": batch, "device": str(device), "data": {"corpora": str(corpus)},
                "model": {"encoder": encoder}, "logging": {"every_steps": max(count // 6, 1), "tensorboard": False},
                "checkpoints": {"every_steps": 10**6}, "optimiser": {"ema_decay": 0.999}, **options,
            }  # fmt: skip
            config["data"] = {"corpora": str(corpus), **options.get("data", {})}
            said: list[tuple[float, str]] = []
            try:
                run_training(validate(config, "benchmark"), run, False, lambda line, said=said: said.append((time.time(), line)))
            except Exception as error:
                journal.failed(f"loader-fed, {batch}, {options}", error)
                continue
            rows = _reports(said)[2:]
            told = json.dumps(options | {"switch_s": sys.getswitchinterval()})
            row = {"batch": batch, "options": told, "examples/s": statistics.median(r[0] for r in rows)}
            row |= {"steps/s": row["examples/s"] / batch, "data wait %": statistics.median(r[1] for r in rows)}
            journal.add("loader-fed training", row)
            forget(device)


def _variants(device: torch.device) -> list[dict]:
    cpus = len(os.sched_getaffinity(0))
    if device.type != "cuda":
        return [{"data": {"workers": 2}}]
    plain: list[dict] = [{}, {"switch_s": 0.0005}]  # how soon a thread that wants the interpreter's lock asks for it
    return plain + [{"data": {"workers": w}} for w in sorted({4, max(cpus - 2, 1)})]


def _reports(said: list[tuple[float, str]]) -> list[tuple[float, float]]:
    """Examples a second and per cent of waiting, of every report."""
    found = []
    for _, line in said:
        if "examples/s" in line and "data wait" in line:
            words = line.split()
            found.append((float(words[words.index("examples/s") - 1]), float(words[words.index("wait") + 1])))
    return found


def nccl(journal: Journal, device: torch.device, batch: int, samples: int) -> None:
    """One rank in a process group of its own: the step under DistributedDataParallel, its sums and its waiting."""
    import torch.distributed as dist
    from torch.nn.parallel import DistributedDataParallel

    from benchmarks.gpu.steps import Ours

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    place = {"WORLD_SIZE": "1", "RANK": "0", "LOCAL_RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    with mock.patch.dict(os.environ, place), join(str(device)) as rank:
        step = Ours(make_model(device), make_audio(batch, samples, device), recorded=False)
        devices = [rank.device] if rank.device.type == "cuda" else None
        step.stepper.model = DistributedDataParallel(step.model, device_ids=devices, gradient_as_bucket_view=True)
        times = [timed(step, device)[0] for _ in range(9)][2:]
        flag = torch.ones(1, device=device)
        dist.all_reduce(flag)
        row = {"backend": dist.get_backend(), "batch": batch, "ms": statistics.median(times), "sum": flag.item()}
        journal.add("one rank in a process group", row | {"rate": RATE})
