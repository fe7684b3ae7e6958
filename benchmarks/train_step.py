"""A full training step beside the paper's design, same machine, same run: examples per second and where the time goes.

    python -m benchmarks.train_step [--batch 16] [--samples 131072] [--rounds 5] [--device cpu] [--encoder base] [--compile]

A step: read the batch from FLAC tars, predict, render, loss, backward, Adam. Every part's time is taken with its backward
pass; the graph is cut between the parts, which changes no gradient. The designs take turns; medians over the rounds.
With ``--compile`` ours takes part once more, encoder and controller compiled as ``compile: true`` does (needs a C++ compiler).
"""

from __future__ import annotations

import argparse
import platform
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from benchmarks import loader as loader_benchmark
from benchmarks.paper_design import PaperStep
from stylefx.corpus.batch import Batch
from stylefx.corpus.dataset import TrainingSet
from stylefx.corpus.loader import TrainingLoader
from stylefx.corpus.reader import open_corpus
from stylefx.models.style_transfer import build_model
from stylefx.training.compilation import compile_network
from stylefx.training.config import resolve_chain
from stylefx.training.loop.step import Objective, to_device

PARTS = ("data", "encoder", "effects", "loss", "update")
RATE = 24000


class Ours:
    """The default model and loss."""

    def __init__(self, encoder: str, device: torch.device, compiled: bool = False):
        chain = resolve_chain("deepafx-st")
        config = {"chain": chain.to_dict(), "sample_rate": RATE, "encoder": {"name": encoder}}
        self.model = build_model(config).to(device)
        if compiled:
            compile_network(self.model, device)
        objective = Objective(100.0).to(device)
        self.controls = self.model.predict
        self.effects = lambda audio, controls: self.model.strategy(audio, controls, RATE)
        self.loss = lambda output, target: objective(output, {"target": target}).loss


class Paper:
    """The paper's."""

    def __init__(self, device: torch.device):
        self.model = PaperStep(RATE).to(device)
        self.controls, self.effects, self.loss = self.model.controls, self.model.effects, self.model.loss


class Clock:
    """Seconds per part, the device idle at every reading."""

    def __init__(self, device: torch.device):
        self.device, self.parts = device, dict.fromkeys(PARTS, 0.0)
        self._last = self._now()

    def _now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()

    def lap(self, part: str) -> None:
        now = self._now()
        self.parts[part] += now - self._last
        self._last = now


def step(design, optimiser: torch.optim.Optimizer, batches: Iterator[Batch], device: torch.device) -> dict[str, float]:
    """One step; seconds per part, forward and backward together."""
    clock = Clock(device)
    optimiser.zero_grad(set_to_none=True)
    audio = to_device(next(batches), device)
    clock.lap("data")
    controls = design.controls(audio["input"], audio["reference"])
    clock.lap("encoder")
    given: Tensor = controls.detach().requires_grad_()
    output = design.effects(audio["input"], given)
    clock.lap("effects")
    rendered: Tensor = output.detach().requires_grad_()
    design.loss(rendered, audio["target"]).backward()
    clock.lap("loss")
    output.backward(rendered.grad)
    clock.lap("effects")
    controls.backward(given.grad)
    clock.lap("encoder")
    torch.nn.utils.clip_grad_norm_(design.model.parameters(), 4.0)
    optimiser.step()
    clock.lap("update")
    return clock.parts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--samples", type=int, default=131072)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--encoder", default="base")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--compile", action="store_true")
    a = parser.parse_args()
    if a.threads:
        torch.set_num_threads(a.threads)
    device, taken = torch.device(a.device), {}
    loader_benchmark.HALF = a.samples
    with tempfile.TemporaryDirectory() as folder:
        root = loader_benchmark.write_tars(Path(folder), max(64, a.batch), "flac")
        designs = {"ours": Ours(a.encoder, device), "the paper's": Paper(device)}
        if a.compile:
            designs["ours, compiled"] = Ours(a.encoder, device, compiled=True)
        optimisers = {n: torch.optim.Adam(d.model.parameters(), 1e-4) for n, d in designs.items()}
        steps = {"micro": a.batch, "workers": 2, "stop_step": a.rounds + 2}
        loaders = {name: iter(TrainingLoader(TrainingSet([open_corpus(root)]), **steps)) for name in designs}
        for number in range(a.rounds + 2):
            for name, design in designs.items():
                parts = step(design, optimisers[name], loaders[name], device)
                if number > 1:  # two steps warm up
                    taken.setdefault(name, []).append(parts)
    name = (
        torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else f"{platform.machine()}, {torch.get_num_threads()} threads"
    )
    print(f"{name}, {a.batch} x {a.samples}, encoder {a.encoder}, median of {a.rounds}")
    print(f"| design | examples/s | ms/step | {' | '.join(PARTS)} |\n|---|---|---|{'---|' * len(PARTS)}")
    rates = {}
    for name, rows in taken.items():
        total = statistics.median(sum(r.values()) for r in rows)
        rates[name] = a.batch / total
        parts = " | ".join(f"{1000 * statistics.median(r[p] for r in rows):.0f}" for p in PARTS)
        print(f"| {name} | {rates[name]:.1f} | {1000 * total:.0f} | {parts} |")
    paper = rates.pop("the paper's")
    for name, rate in rates.items():
        print(f"{name}: {rate / paper:.1f} x the paper's design")


if __name__ == "__main__":
    main()
