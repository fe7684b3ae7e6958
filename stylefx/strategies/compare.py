"""Measure differentiation strategies side by side on a corpus: gradients, cost, and quality after equal steps and seconds.

Every strategy runs in a process of its own, so that its peak memory is its own. All start from the same weights, see the same
keyed items in the same order and are judged on the same held-out items, each in the form in which it would be used
(``eval()``).
"""

from __future__ import annotations

import json
import multiprocessing
import resource
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stylefx.corpus.reader import open_corpus
from stylefx.differentiable.losses import MultiResolutionSTFTLoss, StyleTransferLoss
from stylefx.effects.presets import deepafx_st_chain
from stylefx.keyed import Draw, integer, unit
from stylefx.models.style_transfer import StyleTransferModel, build_model
from stylefx.strategies.proxy_training import fitting_fft_sizes

SLOWER = {"spsa": 0.1}  # the paper's learning rate for SPSA is a tenth of the others'
_POINTS = 8


@dataclass(frozen=True)
class Comparison:
    """What is measured; ``frames`` is the length of the cuts in samples."""

    corpus: str
    proxies: tuple[str, ...] = ()
    steps: int = 200
    batch: int = 4
    frames: int = 32768
    items: int = 32
    learning_rate: float = 1e-3
    encoder: str = "tiny"
    seed: int = 0
    device: str = "cpu"
    gradient_batches: int = 4

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

    def _triple(self, ref, purpose: str) -> list[np.ndarray]:
        first, second = ("a", "b") if unit(self.comparison.seed, purpose, "half", ref.key) < 0.5 else ("b", "a")
        start = Draw(self.comparison.seed, f"{purpose}-start", ref.key).integer(0, self.corpus.half_frames - self.frames)
        names = [f"{first}.input", f"{first}.target", f"{second}.target"]
        found = self.corpus.read(ref, names, start, self.frames)
        return [found[n] for n in names]

    def _stack(self, refs, purpose: str) -> list[Tensor]:
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


def measure(name: str, comparison: Comparison, seconds: float | None) -> dict[str, Any]:
    """One strategy: trains for ``steps`` steps, and on until ``seconds`` of training when that is longer."""
    data = _Data(comparison)
    model = _model(name, comparison, data.corpus.sample_rate)
    held_out = data.validation()
    gradients = _gradients(model, data, comparison)
    before = _memory_mb(comparison.device)
    learning_rate = comparison.learning_rate * SLOWER.get(name, 1.0)
    optimiser = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=learning_rate)
    loss_of = StyleTransferLoss(fft_sizes=comparison.fft_sizes).to(comparison.device)
    times, curve = [], [[0, 0.0, _quality(model, held_out, comparison.fft_sizes)]]
    every, next_at, step = max(comparison.steps // _POINTS, 1), 0.0, 0
    losses: list[float] = []
    while step < comparison.steps or (seconds and sum(times) < seconds):
        audio, target, reference = data.train(step)
        started = _clock(comparison.device)
        loss = loss_of(model(audio, reference)[0], target)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 4.0)
        optimiser.step()
        times.append(_clock(comparison.device) - started)
        losses.append(float(loss.detach()))
        step += 1
        beyond = step > comparison.steps and sum(times) >= next_at
        if (step <= comparison.steps and step % every == 0) or step == comparison.steps or beyond:
            curve.append([step, sum(times), _quality(model, held_out, comparison.fft_sizes)])
            next_at = sum(times) + (seconds or 0.0) / _POINTS
    if curve[-1][0] != step:
        curve.append([step, sum(times), _quality(model, held_out, comparison.fft_sizes)])
    return {
        "strategy": name,
        "gradients": gradients.tolist(),
        "seconds_per_step": statistics.median(times[1:] or times),
        "memory_mb": _memory_mb(comparison.device) - (before if comparison.device != "cpu" else 0.0),
        "learning_rate": learning_rate,
        "curve": curve,
        "losses": losses,
    }


def _clock(device: str) -> float:
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter()


def _memory_mb(device: str) -> float:
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated() / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    """Median over items."""
    norm = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return float(np.median((a * b).sum(1) / np.maximum(norm, 1e-30)))


def _at(curve: Sequence[Sequence[float]], column: int, value: float) -> float:
    """The quality of the curve at a step (column 0) or second (column 1), linear between points, the last one after the end."""
    return float(np.interp(value, [p[column] for p in curve], [p[2] for p in curve]))


def compare(names: Sequence[str], comparison: Comparison, out: Path, echo: Callable[[str], None]) -> str:
    """Measure, write comparison.json, comparison.md and comparison.png into ``out``; returns the table."""
    out.mkdir(parents=True, exist_ok=True)
    results: dict[str, dict[str, Any]] = {}
    ordered = ["ad", *[n for n in names if n != "ad"]]  # autodiff is the reference of gradients and of seconds
    for name in ordered:
        seconds = results["ad"]["curve"][-1][1] if results else None
        echo(f"{name} ...")
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            results[name] = pool.submit(measure, name, comparison, seconds).result()
    seconds = results["ad"]["curve"][-1][1]
    reference = np.array(results["ad"]["gradients"])
    rows = []
    for name, result in results.items():
        gradient = np.array(result.pop("gradients"))
        eq, dynamics = slice(0, 18), slice(18, None)
        result["cosine"] = {
            "all": _cosine(gradient, reference),
            "equaliser": _cosine(gradient[:, eq], reference[:, eq]),
            "compressor": _cosine(gradient[:, dynamics], reference[:, dynamics]),
        }
        result["share_after_steps"] = _at(result["curve"], 0, comparison.steps)
        result["share_after_seconds"] = _at(result["curve"], 1, seconds)
        cosine = result["cosine"]
        rows.append(
            f"| {name} | {cosine['all']:.3f} | {cosine['equaliser']:.3f} / {cosine['compressor']:.3f} "
            f"| {result['seconds_per_step']:.3f} | {result['memory_mb']:.0f} "
            f"| {result['share_after_steps']:.3f} | {result['share_after_seconds']:.3f} |"
        )
    table = "\n".join(
        [
            f"| strategy | cosine with AD | EQ / compressor | s per step | peak MB | MR-STFT left after {comparison.steps} steps "
            f"| after {seconds:.0f} s |",
            "|---|---|---|---|---|---|---|",
            *rows,
        ]
    )
    (out / "comparison.json").write_text(json.dumps({"configuration": asdict(comparison), "results": results}, indent=1) + "\n")
    (out / "comparison.md").write_text(table + "\n")
    _draw(results, comparison, seconds, out / "comparison.png")
    return table


def _draw(results: dict[str, dict], comparison: Comparison, seconds: float, path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (by_step, by_second, cosines) = plt.subplots(1, 3, figsize=(14, 4.2), constrained_layout=True)
    for name, result in results.items():
        curve = np.array(result["curve"])
        inside = curve[:, 0] <= comparison.steps
        by_step.plot(curve[inside, 0], curve[inside, 2], marker=".", label=name)
        inside = curve[:, 1] <= seconds * 1.02
        by_second.plot(curve[inside, 1], curve[inside, 2], marker=".", label=name)
    by_step.set(xlabel="steps", ylabel="share of the input's MR-STFT distance", title="Equal steps, held-out groups")
    by_second.set(xlabel="seconds of training", title="Equal seconds")
    for axes in (by_step, by_second):
        axes.axhline(1.0, color="0.6", linewidth=0.8)
        axes.grid(alpha=0.3)
    by_step.legend()
    names = list(results)
    for i, part in enumerate(("equaliser", "compressor")):
        offsets = np.arange(len(names)) + (i - 0.5) * 0.38
        cosines.bar(offsets, [results[n]["cosine"][part] for n in names], width=0.38, label=part)
    cosines.set_xticks(range(len(names)), names, rotation=30)
    cosines.set(title="Cosine of the gradient with autodiff's", ylim=(-0.3, 1.05))
    cosines.axhline(0.0, color="0.4", linewidth=0.8)
    cosines.legend()
    figure.savefig(path, dpi=110)
    plt.close(figure)
