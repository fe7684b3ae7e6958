"""The curves of a run as one picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from stylefx.figures.style import COLOURS, INK, drawing
from stylefx.training.run.journal import read_metrics


def smooth(values: np.ndarray, width: int) -> np.ndarray:
    """Centred running mean, shorter at the ends; same length."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    at = np.arange(len(values))
    low, high = np.maximum(at - width // 2, 0), np.minimum(at + width // 2 + 1, len(values))
    return (sums[high] - sums[low]) / (high - low)


def draw_curves(run: Path) -> Path | None:
    """metrics.jsonl -> curves.png: loss, MR-STFT beside the unprocessed input's, learning rate. None without any step."""
    rows = read_metrics(run)
    train = [r for r in rows if r["kind"] == "train"]
    held_out = [r for r in rows if r["kind"] == "validation"]
    if not train:
        return None
    steps = np.array([r["step"] for r in train])
    path = run / "curves.png"
    with drawing(path, 12, 4) as figure:
        axes = figure.subplots(1, 3)
        for axis, name in zip(axes[:2], ("loss", "mr_stft"), strict=True):
            values = np.array([r[name] for r in train])
            axis.plot(steps, values, color=COLOURS["input"], alpha=0.45, linewidth=0.9)
            axis.plot(steps, smooth(values, max(len(values) // 50, 1)), color=COLOURS["reference"], label="training")
            if held_out:
                held = [r[name] for r in held_out]
                axis.plot([r["step"] for r in held_out], held, "o-", color=COLOURS["output"], markersize=4.5, label="held out")
            axis.set(title={"loss": "Loss", "mr_stft": "MR-STFT distance"}[name], xlabel="Step", ylim=(0, None))
        if held_out:
            axes[1].axhline(held_out[-1]["input_mr_stft"], color=INK, linestyle="--", label="unprocessed input, held out")
        axes[2].plot(steps, [r["learning_rate"] for r in train], color=COLOURS["reference"])
        axes[2].set(title="Learning rate", xlabel="Step", yscale="log")
        for axis in axes[:2]:
            axis.legend()
    return path
