"""The table and the picture of ``stylefx compare-strategies``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stylefx.experiments.measure import Comparison
from stylefx.figures.style import COLOURS, INK, drawing
from stylefx.strategies.proxy import read_card

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PARTS = {"equaliser": slice(0, 18), "compressor": slice(18, None)}


_COLOURS = {"ad": "C0", "spsa": "C1", "np": "C2", "np-hh": "C3", "np-fh": "C4", "ctcn1": "C5", "ctcn2": "C6"}


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    """Of the rows of a and b, (items, controls); the median over items."""
    norm = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return float(np.median((a * b).sum(1) / np.maximum(norm, 1e-30)))


def at(curve: Sequence[Sequence[float]], column: int, value: float) -> float:
    """The quality of the curve at a step (column 0) or second (column 1), linear between points, the last one after the end."""
    return float(np.interp(value, [p[column] for p in curve], [p[2] for p in curve]))


def summarise(results: dict[str, dict[str, Any]], comparison: Comparison) -> dict[str, dict[str, Any]]:
    """``results`` of ``measure`` -> per strategy what the table says; autodiff is the reference of gradients and seconds."""
    seconds = results["ad"]["curve"][-1][1]
    reference, out = np.array(results["ad"]["gradients"]), {}
    for name, result in results.items():
        gradient = np.array(result["gradients"])
        cosines = {"all": cosine(gradient, reference)}
        cosines |= {part: cosine(gradient[:, span], reference[:, span]) for part, span in PARTS.items()}
        out[name] = {key: value for key, value in result.items() if key != "gradients"} | {
            "cosine": None if name.startswith("ctcn") else cosines,  # their controls mean nothing
            "share_after_steps": at(result["curve"], 0, comparison.steps),
            "share_after_seconds": at(result["curve"], 1, seconds),
            "steps_in_seconds": at([[p[1], 0, p[0]] for p in result["curve"]], 0, seconds),
        }
    return out


def table(summary: dict[str, dict[str, Any]], comparison: Comparison) -> str:
    """Markdown."""
    seconds = summary["ad"]["curve"][-1][1]
    kind = " of the processor" if comparison.clock == "cpu" else ""
    rows = [
        f"| strategy | cosine with AD (EQ / compressor) | s{kind} per step | peak MB above the start "
        f"| MR-STFT left after {comparison.steps} steps | after {seconds:.0f} s{kind} (steps in them) |",
        "|---|---|---|---|---|---|",
    ]
    for name, result in summary.items():
        c = result["cosine"]
        cosines = f"{c['all']:.3f} ({c['equaliser']:.3f} / {c['compressor']:.3f})" if c else "controls without meaning"
        rows.append(
            f"| {name} | {cosines} | {result['seconds_per_step']:.3f} | {result['memory_mb']:.0f} "
            f"| {result['share_after_steps']:.3f} | {result['share_after_seconds']:.3f} ({result['steps_in_seconds']:.0f}) |"
        )
    return "\n".join(rows)


def proxy_table(proxies: Sequence[str]) -> str:
    """Markdown: how well each proxy imitates its effect, from the card that was written at its training."""
    rows = ["| proxy of | MR-STFT to the effect | unprocessed input | relative error | input |", "|---|---|---|---|---|"]
    for path in proxies:
        card = read_card(path)
        error = card["training"].get("held_out")
        if error:
            effects = " + ".join(entry["effect"] for entry in card["chain"]["effects"])
            rows.append(
                f"| {effects} | {error['mr_stft']:.3f} | {error['input_mr_stft']:.3f} "
                f"| {error['relative_rms_db']:.1f} dB | {error['input_relative_rms_db']:.1f} dB |"
            )
    return "\n".join(rows) if len(rows) > 2 else ""


def draw(summary: dict[str, dict[str, Any]], comparison: Comparison, path: Path) -> None:
    """Quality over steps, quality over seconds, cosines."""
    seconds = summary["ad"]["curve"][-1][1]
    kind = "processor" if comparison.clock == "cpu" else "wall"
    top = max(1.1, max(r["share_after_steps"] for r in summary.values()) + 0.1)
    with drawing(path, 14, 4.4) as figure:
        by_step, by_second, cosines = figure.subplots(1, 3)
        for name, result in summary.items():
            curve = np.array(result["curve"])
            style = {"marker": ".", "color": _COLOURS[name], "linestyle": "--" if name == "np-hh" else "-"}
            inside = curve[:, 0] <= comparison.steps
            by_step.plot(curve[inside, 0], curve[inside, 2], label=name, **style)
            inside = curve[:, 1] < seconds
            ends = np.append(curve[inside, 1], min(seconds, curve[-1, 1]))
            by_second.plot(ends, [at(result["curve"], 1, s) for s in ends], **style)
        by_step.set(xlabel="Steps", ylabel="Share of the input's MR-STFT distance", title="Equal steps, held-out groups")
        by_second.set(xlabel=f"Seconds of training ({kind})", title="Equal seconds, held-out groups")
        for axes in (by_step, by_second):
            axes.axhline(1.0, color=COLOURS["input"], linewidth=0.8)
            axes.set_ylim(top=min(axes.get_ylim()[1], 1.5 * top))
        by_step.legend(ncols=2, fontsize=8)
        _cosine_bars(cosines, {name: r["cosine"] for name, r in summary.items() if r["cosine"]})


def _cosine_bars(axes: Axes, cosines: dict[str, dict[str, float]]) -> None:
    for i, part in enumerate(PARTS):
        offsets = np.arange(len(cosines)) + (i - 0.5) * 0.38
        axes.bar(offsets, [c[part] for c in cosines.values()], width=0.38, label=part)
    axes.set_xticks(range(len(cosines)), list(cosines))
    axes.set(title="Cosine of the gradient with autodiff's (median)", ylim=(-0.3, 1.05))
    axes.axhline(0.0, color=INK, linewidth=0.8)
    axes.legend(fontsize=8)
