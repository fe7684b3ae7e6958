"""Small charts as inline SVG: histograms, bars, lines. Colours are CSS variables, so that a page's dark mode reaches them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from markupsafe import Markup, escape

_At = Callable[[float], float]  # where a value lies on the page

WIDTH, HEIGHT = 320, 170


LEFT, RIGHT, TOP, BOTTOM = 58, 12, 10, 38
LETTER = 7  # width of a digit of the axes


def number(value: float) -> str:
    """A short label for an axis."""
    if value == 0:
        return "0"
    if abs(value) >= 10000:
        return f"{value / 1000:.3g}k"
    if abs(value) >= 1000:
        return f"{value:.0f}"
    return f"{value:.3g}"


def _ticks(low: float, high: float, count: int = 4) -> list[float]:
    """Round numbers within [low, high]."""
    span = high - low
    if span <= 0:
        return [low]
    step = 10.0 ** math.floor(math.log10(span / count))
    step *= next(m for m in (1, 2, 5, 10) if span / (step * m) <= count)
    return [t for t in (math.ceil(low / step) * step + i * step for i in range(count + 2)) if t <= high + 1e-9 * span]


def _frame(body: str, label: str, x_label: str, y_label: str, height: int = HEIGHT) -> Markup:
    return Markup(
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(label)}">{body}'
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{height - 4}" class="axis" text-anchor="middle">{escape(x_label)}</text>'
        f'<text transform="translate(13 {(TOP + height - BOTTOM) / 2}) rotate(-90)" class="axis" text-anchor="middle">'
        f"{escape(y_label)}</text></svg>"
    )


def _axes(x_at: _At, x_ticks: Sequence[float], y_at: _At, y_ticks: Sequence[float]) -> str:
    bottom = HEIGHT - BOTTOM
    out = [f'<line class="rule" x1="{LEFT}" y1="{bottom}" x2="{WIDTH - RIGHT}" y2="{bottom}"/>']
    for tick in y_ticks:
        y = y_at(tick)
        out.append(f'<line class="grid" x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}"/>')
        out.append(f'<text class="tick" x="{LEFT - 4}" y="{y + 3:.1f}" text-anchor="end">{number(tick)}</text>')
    out += [
        f'<text class="tick" x="{x_at(tick):.1f}" y="{bottom + 14}" text-anchor="middle">{number(tick)}</text>'
        for tick in _apart(x_ticks, x_at)
    ]
    return "".join(out)


def _apart(ticks: Sequence[float], at: _At) -> list[float]:
    """Ticks whose numbers do not run into one another."""
    kept: list[float] = []
    for tick in ticks:
        reach = LETTER * (len(number(tick)) + (len(number(kept[-1])) if kept else 0)) / 2 + 6
        if not kept or at(tick) - at(kept[-1]) >= reach:
            kept.append(tick)
    return kept


def histogram(series: Mapping[str, Sequence[float]], label: str, unit: str, bins: int = 32, log: bool = False) -> Markup:
    """Overlaid histograms of up to three series over one range; ``log`` spaces the bins logarithmically."""
    arrays = {name: np.asarray(v, float) for name, v in series.items()}
    arrays = {name: v[np.isfinite(v) & ((v > 0) | (not log))] for name, v in arrays.items()}
    arrays = {name: v for name, v in arrays.items() if len(v)}
    if not arrays:
        return Markup('<p class="none">{}: no values</p>').format(label)
    low, high = min(v.min() for v in arrays.values()), max(v.max() for v in arrays.values())
    if high - low <= 1e-3 * max(abs(low), abs(high)):  # one value, give or take rounding
        low, high = low - (abs(low) * 0.05 or 0.5), high + (abs(high) * 0.05 or 0.5)
    forward = (lambda x: np.log(x)) if log else (lambda x: np.asarray(x, float))
    edges = np.linspace(forward(low), forward(high), bins + 1)
    counts = {name: np.histogram(forward(v), edges)[0] for name, v in arrays.items()}
    top = max(int(c.max()) for c in counts.values()) or 1
    plot_w, plot_h = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def x_at(value: float) -> float:
        return float(LEFT + plot_w * (float(forward(value)) - edges[0]) / (edges[-1] - edges[0]))

    def y_at(value: float) -> float:
        return TOP + plot_h * (1.0 - value / top)

    if log:
        decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        x_ticks = [m * 10.0**d for d in decades for m in (1, 2, 5) if low <= m * 10.0**d <= high][:: 1 if high / low < 50 else 2]
    else:
        x_ticks = _ticks(low, high)
    values = np.exp(edges) if log else edges
    boxes = []
    for i, (name, count) in enumerate(counts.items()):
        for j in np.flatnonzero(count):
            x, y = LEFT + plot_w * j / bins, y_at(count[j])
            span = f"{number(float(values[j]))}..{number(float(values[j + 1]))} {unit}"
            boxes.append(
                f'<rect class="s{i}" x="{x + 0.5:.1f}" y="{y:.1f}" width="{plot_w / bins - 1:.1f}" '
                f'height="{plot_h + TOP - y:.1f}"><title>{escape(f"{name}: {count[j]} in {span}")}</title></rect>'
            )
    return _frame(_axes(x_at, x_ticks, y_at, _ticks(0, top, 3)) + "".join(boxes), label, unit, "count")


def bars(values: dict[str, float], label: str, unit: str, most: int = 12) -> Markup:
    """Horizontal bars, largest first; what does not fit is added up in the last one."""
    rows = sorted(values.items(), key=lambda r: (-r[1], r[0]))
    if len(rows) > most:
        rest = rows[most - 1 :]
        rows = [*rows[: most - 1], (f"{len(rest)} more", sum(v for _, v in rest))]
    if not rows:
        return Markup('<p class="none">{}: none</p>').format(label)
    top, line = max(v for _, v in rows) or 1.0, 20
    height, left = line * len(rows) + 8, 128
    body, room = [], LETTER * max(len(f"{number(value)} {unit}") for _, value in rows) + 8  # for the number after the bar
    for i, (name, value) in enumerate(rows):
        y, short = 4 + line * i, name if len(name) <= 17 else name[:8] + "…" + name[-8:]
        size = (WIDTH - left - room) * value / top
        body.append(
            f'<text class="tick" x="{left - 5}" y="{y + 14}" text-anchor="end">{escape(short)}'
            f"<title>{escape(name)}</title></text>"
            f'<rect class="s0" x="{left}" y="{y + 3}" width="{max(size, 0.5):.1f}" height="{line - 6}"/>'
            f'<text class="tick" x="{left + size + 4:.1f}" y="{y + 14}">{number(value)} {escape(unit)}</text>'
        )
    return Markup(f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(label)}">{"".join(body)}</svg>')


def line(x: Sequence[float], y: Sequence[float], label: str, x_unit: str, y_unit: str) -> Markup:
    """One line from zero upwards."""
    if len(x) < 2:
        return Markup('<p class="none">{}: too few points</p>').format(label)
    x_low, x_high, top = min(x), max(x), max(max(y), 1e-9)
    plot_w, plot_h = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def x_at(value: float) -> float:
        return LEFT + plot_w * (value - x_low) / ((x_high - x_low) or 1.0)

    def y_at(value: float) -> float:
        return TOP + plot_h * (1.0 - value / top)

    points = " ".join(f"{x_at(a):.1f},{y_at(b):.1f}" for a, b in zip(x, y, strict=True))
    body = _axes(x_at, _ticks(x_low, x_high), y_at, _ticks(0, top, 3)) + f'<polyline class="line0" points="{points}"/>'
    return _frame(body, label, x_unit, y_unit)
