"""The one look of all pictures, and what several of them show. matplotlib is imported when a picture is drawn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stylefx.files.atomic import output_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = {"input": "#8a8f98", "reference": "#1f6fb4", "output": "#e2711d"}


INK = "#22262c"


FREQUENCY_TICKS_HZ = (20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000)


STYLE: dict[Any, Any] = {
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#9aa0a8",
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": "#555b63",
    "ytick.color": "#555b63",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e3e6ea",
    "grid.linewidth": 0.8,
    "legend.frameon": True,
    "legend.framealpha": 0.85,
    "legend.edgecolor": "white",
    "legend.fancybox": False,
    "lines.linewidth": 1.8,
}


@contextmanager
def drawing(path: str | Path, width: float, height: float) -> Iterator[Any]:
    """A matplotlib figure (Agg, house style) in inches, written to ``path`` as one piece when the block ends without an error."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    path = Path(path)
    with rc_context(STYLE):
        figure = Figure(figsize=(width, height), dpi=130, layout="constrained", facecolor="white")
        yield figure
        with output_file(path) as partial:
            FigureCanvasAgg(figure).print_png(partial, metadata={"Software": None})


def frequency_axis(axis: Axes, sample_rate: float, low_hz: float = 20.0) -> None:
    """A logarithmic axis from ``low_hz`` to Nyquist with ticks that are read at a glance."""
    axis.set_xscale("log")
    top = sample_rate / 2
    ticks = [f for f in FREQUENCY_TICKS_HZ if low_hz <= f <= top]
    axis.set_xticks(ticks, [f"{f // 1000}k" if f >= 1000 else str(f) for f in ticks])
    axis.set_xticks([], minor=True)
    axis.set_xlim(low_hz, top)
    axis.set_xlabel("Frequency (Hz)")


def palette(names: Sequence[str]) -> dict[str, str]:
    """A colour for each system: the same in every picture for input, RB-DSP and model; eight more before one comes again."""
    fixed = {
        "input": COLOURS["input"],
        "neutral": COLOURS["input"],
        "model": COLOURS["output"],
        "rule-based": COLOURS["reference"],
    }
    others = cycle(("#3a9d5d", "#8357a8", "#b8a100", "#c2427a", "#7a5a3a", "#1aa0a8", "#e08a5b", "#5b6b7a"))
    return {n: fixed[n] if n in fixed else next(others) for n in names}


def heat_map(axis: Axes, values: np.ndarray, rows: Sequence[str], columns: Sequence[str], high: float, digits: int = 2) -> None:
    """Numbers on a colour scale from 0 to ``high``; (rows, columns)."""
    axis.imshow(values, cmap="YlOrBr", vmin=0, vmax=high, aspect="auto")
    axis.set_xticks(range(len(columns)), columns, rotation=25, ha="right")
    axis.set_yticks(range(len(rows)), rows)
    axis.grid(False)
    for (i, j), value in np.ndenumerate(values):
        colour = "white" if value > 0.6 * high else INK
        axis.text(j, i, f"{value:.{digits}f}", ha="center", va="center", color=colour, fontsize=10)
