"""The curves of a run as one picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from stylefx.training.journal import read_metrics


def smooth(values: np.ndarray, width: int) -> np.ndarray:
    """Centred running mean, shorter at the ends; same length."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    at = np.arange(len(values))
    low, high = np.maximum(at - width // 2, 0), np.minimum(at + width // 2 + 1, len(values))
    return (sums[high] - sums[low]) / (high - low)


def draw_curves(run: Path) -> Path | None:
    """metrics.jsonl -> curves.png: loss, MR-STFT beside the unprocessed input's, learning rate. None without any step."""
    import matplotlib

    matplotlib.use("Agg", force=False)
    from matplotlib.figure import Figure

    rows = read_metrics(run)
    train = [r for r in rows if r["kind"] == "train"]
    held_out = [r for r in rows if r["kind"] == "validation"]
    if not train:
        return None
    steps = np.array([r["step"] for r in train])
    figure = Figure(figsize=(12, 4), layout="constrained")
    axes = figure.subplots(1, 3)
    for axis, name in zip(axes[:2], ("loss", "mr_stft"), strict=True):
        values = np.array([r[name] for r in train])
        axis.plot(steps, values, color="0.85", linewidth=0.5)
        axis.plot(steps, smooth(values, max(len(values) // 50, 1)), label="training")
        if held_out:
            axis.plot([r["step"] for r in held_out], [r[name] for r in held_out], "o-", label="held out")
        axis.set(title={"loss": "loss", "mr_stft": "MR-STFT distance"}[name], xlabel="step", ylim=(0, None))
    if held_out:
        axes[1].axhline(held_out[-1]["input_mr_stft"], color="0.5", linestyle="--", label="unprocessed input, held out")
    axes[2].plot(steps, [r["learning_rate"] for r in train])
    axes[2].set(title="learning rate", xlabel="step", yscale="log")
    for axis in axes[:2]:
        axis.legend()
    path = run / "curves.png"
    figure.savefig(path, dpi=110)
    return path
