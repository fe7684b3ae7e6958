"""The picture of a transfer: spectra, equaliser, static curve, levels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stylefx.audio.spectra import average_power, smooth_octaves
from stylefx.effects.curves import LINEAR_EFFECTS, response_db, static_curve_db
from stylefx.figures.style import COLOURS, INK, drawing, frequency_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEVEL_WINDOW_S = 0.02


def transfer_figure(
    path: str | Path,
    *,
    input: np.ndarray,
    reference: np.ndarray,
    output: np.ndarray,
    sample_rate: float,
    settings: Sequence[Mapping[str, Any]],
    title: str = "Style transfer",
) -> Path:
    """Draw one PNG of a transfer: average spectra, predicted EQ curve, static curve, distribution of levels.

    Audio is (channels, samples) at ``sample_rate`` Hz, of any lengths; ``settings`` are the predicted steps of the chain
    ({"effect", "settings", optional "config", "bypass"}). A panel whose effect is missing from the chain is left out.
    Returns the path.
    """
    signals = {"input": input, "reference": reference, "output": output}
    active = [s for s in settings if not s.get("bypass", False)]
    linear = [s for s in active if s["effect"] in LINEAR_EFFECTS]
    dynamics = [s for s in active if s["effect"] in ("compressor", "expander")]
    panels = ["spectra", *(["eq"] if linear else []), *(["static"] if dynamics else []), "levels"]
    rows = (len(panels) + 1) // 2
    with drawing(path, 12, 3.9 * rows + 0.4) as figure:
        figure.suptitle(title, x=0.012, ha="left", fontsize=14, fontweight="bold")
        axes = figure.subplots(rows, 2, squeeze=False).ravel()
        for axis in axes[len(panels) :]:
            axis.set_visible(False)
        for name, axis in zip(panels, axes, strict=False):
            if name == "spectra":
                _spectra(axis, signals, sample_rate)
            elif name == "eq":
                _equaliser(axis, linear, sample_rate)
            elif name == "static":
                _static_curve(axis, dynamics)
            else:
                _levels(axis, signals, sample_rate)
    return Path(path)


def _spectra(axis: Axes, signals: Mapping[str, np.ndarray], sample_rate: float) -> None:
    """Power in third-octave bands: pink noise is a level line, and speech and music are seen as they are heard."""
    highest = -np.inf
    for name, audio in signals.items():
        size = 4096 * max(1, round(sample_rate / 24000))
        frequency, power = average_power(audio, sample_rate, size)
        smooth = smooth_octaves(frequency, power, 1 / 6)
        inside = (frequency >= 20) & (frequency <= 0.98 * sample_rate / 2)
        width_hz = frequency * (2 ** (1 / 6) - 2 ** (-1 / 6))  # a third of an octave
        level_db = 10 * np.log10(np.maximum(smooth * width_hz, 1e-14))[inside]
        highest = max(highest, level_db.max())
        dashed = "--" if name == "input" else "-"
        axis.plot(frequency[inside], level_db, dashed, color=COLOURS[name], label=name, zorder=3 if name == "output" else 2)
    frequency_axis(axis, sample_rate)
    axis.set_ylim(highest - 75, highest + 6)
    axis.set_ylabel("Level per third octave (dBFS)")
    axis.set_title("Average spectra")
    axis.legend(loc="best", ncols=1)


def _equaliser(axis: Axes, steps: Sequence[Mapping[str, Any]], sample_rate: float) -> None:
    frequency = np.geomspace(20, sample_rate / 2 * 0.999, 600)
    curve_db = response_db(steps, sample_rate, frequency)
    axis.axhline(0, color="#9aa0a8", linewidth=1)
    axis.fill_between(frequency, 0, curve_db, color=COLOURS["output"], alpha=0.15, linewidth=0)
    axis.plot(frequency, curve_db, color=COLOURS["output"])
    for step in steps:
        values = step.get("settings", {})
        for name in [n for n in values if n.endswith("_cutoff_hz") and n.replace("_cutoff_hz", "_gain_db") in values]:
            cutoff = min(values[name], 0.45 * sample_rate)
            axis.plot(cutoff, np.interp(cutoff, frequency, curve_db), "o", color=INK, markersize=4.5, zorder=4)
    frequency_axis(axis, sample_rate)
    reach = max(6.0, 1.15 * np.abs(curve_db).max())
    axis.set_ylim(-reach, reach)
    axis.set_ylabel("Gain (dB)")
    axis.set_title("Predicted equaliser" + (" (dots: cutoffs of the bands)" if steps[0]["effect"] == "parametric_eq" else ""))


def _static_curve(axis: Axes, steps: Sequence[Mapping[str, Any]]) -> None:
    level = np.linspace(-80, 0, 401)
    axis.plot(level, level, ":", color="#9aa0a8", label="unchanged")
    lowest = -80.0
    for number, step in enumerate(steps):
        s = step["settings"]
        curve = static_curve_db(step["effect"], s, level)
        lowest = min(lowest, float(curve.min()))
        colour = (COLOURS["output"], COLOURS["reference"])[number % 2]
        label = (
            f"{step['effect']}: threshold {s['threshold_db']:.1f} dB, ratio {s['ratio']:.2f}\n"
            f"attack {s['attack_ms']:.1f} ms, release {s['release_ms']:.0f} ms, make-up {s['makeup_gain_db']:+.1f} dB"
        )
        axis.plot(level, curve, color=colour, label=label)
        axis.axvline(s["threshold_db"], color=colour, linewidth=1, linestyle="--", alpha=0.6)
    axis.set_xlim(-80, 0)
    axis.set_ylim(max(lowest, -110.0), max(3.0, axis.get_ylim()[1]))
    axis.set_xlabel("Input level (dBFS)")
    axis.set_ylabel("Output level (dBFS)")
    axis.set_title("Predicted dynamics: static curve")
    axis.legend(loc="upper left", fontsize=9)


def _levels(axis: Axes, signals: Mapping[str, np.ndarray], sample_rate: float) -> None:
    """How much of the time each level lasts; what a compressor narrows."""
    edges = np.arange(-80.0, 1.5, 1.5)
    for name, audio in signals.items():
        window = max(1, int(LEVEL_WINDOW_S * sample_rate))
        count = max(1, audio.shape[1] // window)
        frames = np.asarray(audio[:, : count * window], np.float64).reshape(audio.shape[0], count, -1)
        level_db = 10 * np.log10(np.maximum(np.square(frames).mean(axis=(0, 2)), 1e-12))
        share = np.histogram(level_db, edges)[0] / count * 100 / 1.5
        share = np.convolve(np.pad(share, 1, mode="edge"), [0.25, 0.5, 0.25], "valid")
        middle = (edges[1:] + edges[:-1]) / 2
        axis.plot(middle, share, "--" if name == "input" else "-", color=COLOURS[name], label=name)
        if name == "output":
            axis.fill_between(middle, 0, share, color=COLOURS[name], alpha=0.12, linewidth=0)
    axis.set_xlim(-70, 0)
    axis.set_ylim(bottom=0)
    axis.set_xlabel("Level in 20 ms (dBFS)")
    axis.set_ylabel("Share of time (% per dB)")
    axis.set_title("Distribution of levels")
    axis.legend(loc="upper left")
