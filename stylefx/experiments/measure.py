"""Measure one differentiation strategy on a corpus: its gradient, its cost, its quality over steps and seconds."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stylefx.corpus.reader import SampleRef, open_corpus
from stylefx.differentiable.losses import MultiResolutionSTFTLoss, StyleTransferLoss
from stylefx.effects.presets import deepafx_st_chain
from stylefx.errors import UserError
from stylefx.experiments.proxy_training import fitting_fft_sizes
from stylefx.keyed import Draw, integer, unit
from stylefx.models.style_transfer import StyleTransferModel, build_model
from stylefx.training.loop.ema import MovingAverage

SLOWER = {"spsa": 0.1}  # the paper's learning rate for SPSA is a tenth of the others'


CLOCKS = ("wall", "cpu")


_POINTS = 8


@dataclass(frozen=True)
class Comparison:
    """What is measured. ``frames``: length of the cuts in samples; ``width``: channels of the end-to-end networks;
    ``clock``: seconds of the wall, or of the processor summed over threads (where others use the machine too); ``average``:
    decay per step of the moving average of the weights that the quality is measured with, as single steps jump;
    ``warm_up``: steps over which the learning rate rises."""

    corpus: str
    proxies: tuple[str, ...] = ()
    steps: int = 200
    batch: int = 4
    frames: int = 32768
    items: int = 32
    learning_rate: float = 1e-3
    encoder: str = "tiny"
    width: int = 64
    clock: str = "wall"
    seed: int = 0
    device: str = "cpu"
    gradient_batches: int = 4
    average: float = 0.97
    warm_up: int = 20

    def __post_init__(self) -> None:
        if self.clock == "cpu" and self.device != "cpu":
            raise UserError(f"the clock 'cpu' counts the processor's seconds and not those of {self.device}; take 'wall'")

    @property
    def fft_sizes(self) -> tuple[int, ...]:
        return fitting_fft_sizes(self.frames)


class _Data:
    """Triples (input, target, reference), each (batch, channels, frames)."""

    def __init__(self, comparison: Comparison):
        self.comparison, self.corpus = comparison, open_corpus(comparison.corpus)
        self.frames = min(comparison.frames, self.corpus.half_frames)
        self.held_out = "val" if "val" in self.corpus.splits else self.corpus.splits[0]
        self.refs = {split: self.corpus.samples(split) for split in {"train", self.held_out} & set(self.corpus.splits)}

    def _triple(self, ref: SampleRef, purpose: str) -> list[np.ndarray]:
        first, second = ("a", "b") if unit(self.comparison.seed, purpose, "half", ref.key) < 0.5 else ("b", "a")
        start = Draw(self.comparison.seed, f"{purpose}-start", ref.key).integer(0, self.corpus.half_frames - self.frames)
        names = [f"{first}.input", f"{first}.target", f"{second}.target"]
        found = self.corpus.read(ref, names, start, self.frames)
        return [found[n] for n in names]

    def _stack(self, refs: Sequence[SampleRef], purpose: str) -> list[Tensor]:
        triples = [self._triple(ref, purpose) for ref in refs]
        return [torch.from_numpy(np.stack(x)).to(self.comparison.device) for x in zip(*triples, strict=True)]

    def train(self, step: int) -> list[Tensor]:
        refs = self.refs["train"]
        draw = Draw(self.comparison.seed, "compare-items", str(step))
        return self._stack([refs[draw.integer(0, len(refs) - 1)] for _ in range(self.comparison.batch)], f"step-{step}")

    def validation(self) -> list[list[Tensor]]:
        size, refs = self.comparison.batch, self.refs[self.held_out]
        refs = sorted(refs, key=lambda r: integer(self.comparison.seed, "compare-held-out", r.key))[: self.comparison.items]
        return [self._stack(refs[i : i + size], "held-out") for i in range(0, len(refs), size)]


def _model(name: str, comparison: Comparison, rate: float) -> StyleTransferModel:
    """Same weights of encoder and controller for every strategy."""
    options: dict[str, Any] = {"name": name}
    if name.startswith("np"):
        options["proxies"] = list(comparison.proxies)
    if name.startswith("ctcn"):
        options["network"] = {"width": comparison.width}
    torch.manual_seed(integer(comparison.seed, "compare-weights") % 2**63)
    return build_model(
        {
            "encoder": {"name": comparison.encoder},
            "strategy": options,
            "chain": deepafx_st_chain().to_dict(),
            "sample_rate": rate,
        }
    ).to(comparison.device)


def _gradients(model: StyleTransferModel, data: _Data, comparison: Comparison) -> np.ndarray:
    """Gradients of the training loss to the controls around neutral, float64 (items, num_controls)."""
    loss_of, out = StyleTransferLoss(fft_sizes=comparison.fft_sizes).to(comparison.device), []
    model.train()
    for index, (audio, target, _) in enumerate(data.validation()[: comparison.gradient_batches]):
        draw = Draw(comparison.seed, "compare-controls", str(index))
        noise = np.array([[draw.normal(0.0, 0.15) for _ in model.chain.parameters] for _ in audio])
        controls = torch.tensor(np.clip(model.chain.default_controls + noise, 0.02, 0.98), dtype=torch.float32)
        controls = controls.to(comparison.device).requires_grad_()
        loss_of(model.strategy(audio, controls, model.sample_rate), target).backward()
        assert controls.grad is not None
        out.append(controls.grad.double().cpu().numpy() * len(audio))
    return np.concatenate(out)


def _quality(model: StyleTransferModel, held_out: list[list[Tensor]], fft_sizes: Sequence[int]) -> float:
    """Mean MR-STFT distance to the target as a share of the unprocessed input's."""
    distance, out, unprocessed = MultiResolutionSTFTLoss(fft_sizes), 0.0, 0.0
    model.eval()
    with torch.no_grad():
        for audio, target, reference in held_out:
            out += float(distance(model(audio, reference)[0], target)) * len(audio)
            unprocessed += float(distance(audio, target)) * len(audio)
    model.train()
    return out / unprocessed


def measure(
    name: str, comparison: Comparison, seconds: float | None, on_step: Callable[[int, float], None] | None = None
) -> dict[str, Any]:
    """One strategy: trains for ``steps`` steps, and on until ``seconds`` of training when that is longer."""
    data = _Data(comparison)
    held_out = data.validation()
    before = _memory_mb(comparison.device)
    model = _model(name, comparison, data.corpus.sample_rate)
    gradients = _gradients(model, data, comparison)
    learning_rate = comparison.learning_rate * SLOWER.get(name, 1.0)
    optimiser = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=learning_rate)
    loss_of = StyleTransferLoss(fft_sizes=comparison.fft_sizes).to(comparison.device)
    average, times, losses = MovingAverage(model, comparison.average), [], []

    def quality() -> float:
        with average.applied(model):
            return _quality(model, held_out, comparison.fft_sizes)

    curve = [[0, 0.0, quality()]]
    every, next_at, step, spent = max(comparison.steps // _POINTS, 1), 0.0, 0, 0.0
    while step < comparison.steps or (seconds and spent < seconds):
        audio, target, reference = data.train(step)
        started = _now(comparison)
        loss = loss_of(model(audio, reference)[0], target)
        optimiser.param_groups[0]["lr"] = learning_rate * min(1.0, (step + 1) / comparison.warm_up)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 4.0)
        optimiser.step()
        times.append(_now(comparison) - started)
        average.update(model, step)
        losses.append(float(loss.detach()))
        step, spent = step + 1, spent + times[-1]
        if on_step:
            on_step(step, losses[-1])
        beyond = step > comparison.steps and spent >= next_at
        if (step <= comparison.steps and step % every == 0) or step == comparison.steps or beyond:
            curve.append([step, spent, quality()])
            next_at = spent + (seconds or 0.0) / _POINTS
    if curve[-1][0] != step:
        curve.append([step, spent, quality()])
    return {
        "strategy": name,
        "gradients": gradients.tolist(),
        "seconds_per_step": statistics.median(times[1:] or times),
        "memory_mb": _memory_mb(comparison.device) - before,
        "learning_rate": learning_rate,
        "curve": curve,
        "losses": losses,
    }


def _now(comparison: Comparison) -> float:
    if comparison.device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.process_time() if comparison.clock == "cpu" else time.perf_counter()


def _memory_mb(device: str) -> float:
    """The peak so far."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated() / 1e6
    try:
        import resource
    except ImportError:  # Windows has none
        return 0.0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
