"""P8: real-time factor and memory of a transfer, on this machine, in a process of its own."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from stylefx.evaluation.job import EvaluationJob
from stylefx.evaluation.report import Report, Table
from stylefx.evaluation.systems.base import ModelSystem
from stylefx.figures.style import COLOURS, drawing

DURATIONS_S = (3.0, 10.0, 60.0)
REPEATS = 5
STAGES = {"encode": "encode (input and reference)", "control": "predict settings", "render": "render the effects"}


def run(job: EvaluationJob) -> Report:
    """Seconds of audio per second, for each stage and duration; peak memory beyond the loaded model."""
    ref = job.refs[0]
    audio = job.corpus.read(ref, ["a.input", "b.target"])
    rate, device = job.corpus.sample_rate, job.model.device
    results: dict[float, dict[str, Any]] = {}
    for seconds in DURATIONS_S:
        source, reference = (repeat_to(x, round(seconds * rate)) for x in audio.values())
        timing = time_stages(job.model, source, reference, rate)
        results[seconds] = {
            "seconds": timing,
            "times_real_time": {stage: seconds / max(t, 1e-9) for stage, t in timing.items()},
            "peak_memory_mib": peak_memory_mib(job.checkpoint, source, reference, rate, device),
        }
    parameters = sum(p.numel() for p in job.model.model.parameters())
    rows = [_row(seconds, r) for seconds, r in results.items()]
    columns = ["audio", *(f"{title}, ms" for title in STAGES.values()), "x real time", "peak MiB beyond the model"]
    return Report(
        protocol="p8",
        title="Real-time factor and memory",
        question=f"Median of {REPEATS} transfers after a warm-up; input and reference last as long as each other. Memory: growth "
        "of the peak resident size of a fresh process during its first transfer.",
        setup=job.describe([ref]) | machine() | {"parameters": parameters},
        results={"durations": results, "parameters": parameters, "machine": machine()},
        tables=[Table("Speed", columns, rows, "x real time: seconds of output per second of work, all stages together.")],
        draw=lambda path: _draw(path, results),
    )


def _row(seconds: float, result: dict[str, Any]) -> list[str]:
    timing, memory = result["seconds"], result["peak_memory_mib"]
    stages = [f"{1000 * timing[s]:.1f}" for s in STAGES]
    return [f"{seconds:g} s", *stages, f"{result['times_real_time']['total']:.0f}", "-" if memory is None else f"{memory:.0f}"]


def repeat_to(audio: np.ndarray, frames: int) -> np.ndarray:
    """The audio over and over, exactly ``frames`` long, (channels, frames)."""
    return np.ascontiguousarray(np.tile(audio, (1, -(-frames // audio.shape[1])))[:, :frames])


def time_stages(model: ModelSystem, audio: np.ndarray, reference: np.ndarray, rate: float) -> dict[str, float]:
    """Median seconds of each stage and of all together."""
    import torch

    found: dict[str, list[float]] = {name: [] for name in (*STAGES, "total")}
    for repeat in range(REPEATS + 1):
        marks = [_now(model.device)]
        e_input, e_reference = model.embed([audio], rate), model.embed([reference], rate)
        marks.append(_now(model.device))
        with torch.inference_mode():
            e = [torch.from_numpy(x).float().to(model.device) for x in (e_input, e_reference)]
            controls = model.model.controls(*e)[0].double().cpu().numpy()
        marks.append(_now(model.device))
        model.render(audio, controls, rate)
        marks.append(_now(model.device))
        if repeat:  # the first one compiles
            for name, seconds in zip(STAGES, np.diff(marks), strict=True):
                found[name].append(float(seconds))
            found["total"].append(marks[-1] - marks[0])
    return {name: statistics.median(times) for name, times in found.items()}


def _now(device: str) -> float:
    """The time when the device has done all it was given."""
    if device.startswith("cuda"):
        import torch

        torch.cuda.synchronize()
    return time.perf_counter()


def peak_memory_mib(checkpoint: Path | None, audio: np.ndarray, reference: np.ndarray, rate: float, device: str) -> float | None:
    """Growth of a fresh process' peak memory by one transfer, MiB; None where the system does not tell."""
    if checkpoint is None or not Path("/proc/self/clear_refs").exists():
        return None
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_grow, checkpoint, audio, reference, rate, device).result()


def _grow(checkpoint: Path, audio: np.ndarray, reference: np.ndarray, rate: float, device: str) -> float:
    from stylefx.models.checkpoint import load_model

    model = ModelSystem(load_model(checkpoint, device=device), device)
    short = audio[:, : min(audio.shape[1], int(rate))]
    model.render(short, model.predict([short], [short], rate)[0], rate)  # loads and compiles what any transfer needs
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew from here
    before = _resident_mib("VmRSS")
    model.render(audio, model.predict([audio], [reference], rate)[0], rate)
    return max(0.0, _resident_mib("VmHWM") - before)


def _resident_mib(field: str) -> float:
    """VmRSS (now) or VmHWM (peak) of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:")) / 1024


def machine() -> dict[str, str | int]:
    """Where the figures come from."""
    import torch

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    found: dict[str, Any] = {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count() or 0, "gpu": gpu}
    return {**found, "threads": torch.get_num_threads(), "torch": torch.__version__}


def _draw(path: Path, results: dict[float, dict[str, Any]]) -> None:
    with drawing(path, 7.5, 3.6) as figure:
        axis = figure.subplots()
        names = [f"{seconds:g} s of audio" for seconds in results]
        left = np.zeros(len(names))
        colours: Sequence[str] = (COLOURS["reference"], "#3a9d5d", COLOURS["output"])
        for (stage, title), colour in zip(STAGES.items(), colours, strict=True):
            share = np.array([1000 * r["seconds"][stage] / seconds for seconds, r in results.items()])
            axis.barh(names, share, left=left, color=colour, height=0.55, label=title)
            left += share
        axis.grid(axis="y", visible=False)
        axis.set_xlabel("Work per second of audio (ms); 1000 is real time")
        axis.set_title("Where the time goes")
        axis.legend(loc="best", fontsize=9)
