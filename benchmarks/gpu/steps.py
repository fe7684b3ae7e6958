"""Whole training steps on audio that is on the device already, beside the paper's design; precision and compilation."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor

from benchmarks.gpu.clock import compare, forget
from benchmarks.gpu.journal import Journal, Row
from benchmarks.gpu.speed import _failed
from stylefx.corpus.batch import Batch
from stylefx.models.style_transfer import StyleTransferModel, build_model
from stylefx.training.config import resolve_chain
from stylefx.training.loop.ema import MovingAverage
from stylefx.training.loop.outcome import Outcome
from stylefx.training.loop.step import Objective, Stepper
from tests.support.twin_references import music

RATE = 24000


def make_model(device: torch.device, bf16: bool = False, encoder: str = "base") -> StyleTransferModel:
    torch.manual_seed(0)
    chain = resolve_chain("deepafx-st")
    model = build_model({"chain": chain.to_dict(), "sample_rate": RATE, "encoder": {"name": encoder}}).to(device)
    model.mixed_precision = bf16
    return model


def make_audio(batch: int, samples: int, device: torch.device) -> dict[str, Tensor]:
    """Input, target and reference: eight pieces of music, over and over at other levels."""
    pool = music(8, 1, samples, RATE, seed=1).to(device)
    levels = torch.linspace(1.0, 0.3, batch, device=device)[:, None, None]
    rows = torch.arange(batch, device=device)
    return {name: pool[(rows + shift) % 8] * levels for shift, name in enumerate(("input", "target", "reference"))}


class Ours:
    """What the trainer does in a step, the loader aside: ``Stepper`` and the moving average; ``recorded`` as by default, or
    launched kernel by kernel."""

    def __init__(self, model: StyleTransferModel, audio: dict[str, Tensor], recorded: bool = True, rate: float = 1e-4):
        self.model, self.rate = model, rate
        device = audio["input"].device
        objective = Objective(100.0).to(device)
        optimiser = torch.optim.Adam(model.parameters(), lr=rate, fused=True if device.type == "cuda" else None)
        say = print if recorded and device.type == "cuda" else None
        n = len(audio["input"])
        self.batches = itertools.repeat(Batch(keys=[""] * n, epochs=[0] * n, valid=np.ones(n)))
        self.stepper = Stepper(model, objective, optimiser, 4.0, lambda batch: audio, say=say, late=device.type == "cuda")
        self.average, self.done = MovingAverage(model, 0.999), 0
        self.unread: Outcome | None = None

    def __call__(self) -> None:
        outcome, before = self.stepper(self.batches, 1, self.rate), self.unread
        if before is not None:
            self.stepper.read(before)
        self.unread = outcome
        self.average.update(self.model, self.done)
        self.done += 1


class Papers:
    """The paper's design."""

    def __init__(self, audio: dict[str, Tensor]):
        from benchmarks.paper_design import PaperStep

        device = audio["input"].device
        self.model, self.audio = PaperStep(RATE).to(device), audio
        for part in self.model.spectral.stft_losses:
            part.window = part.window.to(device)
        self.optimiser = torch.optim.Adam(self.model.parameters(), 1e-4)

    def __call__(self) -> None:
        self.optimiser.zero_grad(set_to_none=True)
        controls = self.model.controls(self.audio["input"], self.audio["reference"])
        self.model.loss(self.model.effects(self.audio["input"], controls), self.audio["target"]).backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 4.0)
        self.optimiser.step()


def built(make: Callable[[], Callable[[], object]], device: torch.device) -> tuple[Callable[[], object], float]:
    """A contender after its first step, and the peak of MiB that it took for itself, its graph and its first step."""
    forget(device)
    if device.type != "cuda":
        call = make()
        call()
        return call, float("nan")
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    call = make()
    call()
    torch.cuda.synchronize(device)
    return call, (torch.cuda.max_memory_allocated(device) - before) / 2**20


def papers(audio: dict[str, Tensor]) -> Callable[[], object]:
    """The paper's step, its convolutions chosen as torch does by default: to try them all gains it nothing."""
    step = Papers(audio)

    def run() -> None:
        with torch.backends.cudnn.flags(benchmark=False):
            step()

    return run


def steps(journal: Journal, device: torch.device, batches: list[int], samples: int, rounds: int) -> None:
    """Ours in float32 and bf16, and the paper's design: at the first batch size only, since it takes item after item, and its
    encoder needs gigabytes for a few."""
    for batch in batches:
        if journal.left() < 20:
            journal.say(f"steps of {batch} and more are left out: no time")
            return
        audio = make_audio(batch, samples, device)
        makers: dict[str, Callable[[], Callable[[], object]]] = {
            "stylefx": lambda audio=audio: Ours(make_model(device), audio),
            "stylefx, bf16": lambda audio=audio: Ours(make_model(device, bf16=True), audio),
            "stylefx, without CUDA graph": lambda audio=audio: Ours(make_model(device), audio, recorded=False),
        }
        if batch == batches[0]:
            makers["the paper's design"] = lambda audio=audio: papers(audio)
        calls, peaks = {}, {}
        for name, make in makers.items():
            try:
                calls[name], peaks[name] = built(make, device)
            except Exception as error:  # a peer that does not fit must not end the comparison
                journal.failed(f"step, {batch}, {name}", error)
        report(journal, batch, calls, device, rounds, 5.0, peaks)
        del calls, audio, makers
        forget(device)


def compiled(journal: Journal, device: torch.device, batches: list[int], samples: int, rounds: int) -> None:
    """Encoder and controller through the compiler, as ``compile: true`` does; its minutes are told, not timed."""
    for batch in batches:
        audio = make_audio(batch, samples, device)
        for bf16 in (False, True):
            name = f"stylefx, {'bf16, ' if bf16 else ''}compiled"
            model = make_model(device, bf16)
            model.encoder.compile()
            model.controller.compile()
            began = journal.elapsed()
            call, peak = built(lambda model=model, audio=audio: Ours(model, audio), device)
            report(journal, batch, {name: call}, device, rounds, 5.0, {name: peak})
            journal.say(f"{name}, batch {batch}: {journal.elapsed() - began:.1f} s with compilation")
            if journal.left() < 30:
                journal.say("the rest is left out: no time")
                return
        forget(device)


def report(
    journal: Journal,
    batch: int,
    calls: dict[str, Callable[[], object]],
    device: torch.device,
    rounds: int,
    limit_s: float,
    peaks: dict[str, float],
) -> None:
    taken = compare(calls, device, rounds, partial(_failed, journal, f"step, {batch}"), limit_s)
    ours = taken["stylefx"].ms if "stylefx" in taken else _ours(journal, batch)
    for name, found in taken.items():
        row: Row = {"batch": batch, "who": name, "ms": found.ms, "x ours": found.ms / ours}
        row |= {"examples/s": 1e3 * batch / found.ms, "peak MiB": peaks[name]}
        journal.add("training step", row if not found.failed else {"batch": batch, "who": name, "note": found.failed})


def _ours(journal: Journal, batch: int) -> float:
    rows = [r for r in journal.tables.get("training step", []) if r["batch"] == batch and r["who"] == "stylefx" and "ms" in r]
    return rows[-1]["ms"] if rows else float("nan")


def profile(journal: Journal, device: torch.device, batch: int, samples: int) -> None:
    """Where the device's time of a step goes, how often the host launches and how often it waits."""
    from torch.profiler import ProfilerActivity

    step = Ours(make_model(device), make_audio(batch, samples, device))
    for _ in range(3):
        step()
    on_device = device.type == "cuda"
    activities = [ProfilerActivity.CPU] + ([ProfilerActivity.CUDA] if on_device else [])
    count = 3
    with torch.profiler.profile(activities=activities) as trace:
        for _ in range(count):
            step()
    events = trace.key_averages()
    kernels = [e for e in events if e.device_type == torch.autograd.DeviceType.CUDA] if on_device else list(events)

    def ms(event: torch.autograd.profiler_util.FunctionEventAvg) -> float:
        return (event.self_device_time_total if on_device else event.self_cpu_time_total) / 1e3 / count

    kernels.sort(key=ms, reverse=True)
    total = sum(ms(e) for e in kernels)
    for event in kernels[:10]:
        row: Row = {"kernel": event.key[:90].replace("|", "/"), "ms a step": ms(event), "share": ms(event) / max(total, 1e-9)}
        journal.add(f"profile of a step, batch {batch}", row | {"calls a step": event.count / count})
    host = {
        e.key: e.count / count for e in events if e.key.startswith(("cudaLaunch", "cuLaunch", "cudaStreamSync", "cudaMemcpy"))
    }
    host["kernels a step"] = sum(e.count for e in kernels) / count
    journal.add("launches and waits", {"batch": batch, "device ms": total, **host})
    journal.log(events.table(sort_by="self_cuda_time_total" if on_device else "self_cpu_time_total", row_limit=60))
    journal.log(events.table(sort_by="self_cpu_time_total", row_limit=40))
