"""How results look in a notebook: tables, players and curves as HTML that stands by itself and asks no other host.

Everything that is put in is escaped. Colours suit light and dark pages.
"""

from __future__ import annotations

import base64
import html
import math
from collections.abc import Mapping, Sequence
from typing import Any

_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP = 560, 220, 52, 34, 10
_COLOURS = ("#8a8f98", "#1f6fb4", "#e2711d")
_SOFT = "#80858d"
_TICKS_HZ = (20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000)
_SPAN_DB = 70.0  # below the highest point is not drawn


def block(title: str, *parts: str) -> str:
    """A heading and what belongs to it."""
    return f'<div style="margin:.4em 0"><p><b>{html.escape(title)}</b></p>{"".join(parts)}</div>'


def table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Numbers stand at the right."""
    head = "".join(f'<th style="text-align:left;padding:0 1em 0 0">{html.escape(name)}</th>' for name in header)
    body = "".join(f"<tr>{''.join(_cell(value) for value in row)}</tr>" for row in rows)
    return f'<table style="border-collapse:collapse"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def _cell(value: Any) -> str:
    number = isinstance(value, int | float)
    text = f"{value:,.2f}" if isinstance(value, float) else f"{value:,}" if number else str(value)
    return f'<td style="padding:0 1em 0 0;text-align:{"right" if number else "left"}">{html.escape(text)}</td>'


def preformatted(text: str) -> str:
    return f'<pre style="font-size:.85em">{html.escape(text)}</pre>'


def player(data: bytes, kind: str, label: str) -> str:
    """``kind`` is "flac" or "wav"."""
    source = f"data:audio/{kind};base64,{base64.b64encode(data).decode()}"
    text = html.escape(label)
    return (
        f'<div style="display:inline-block;margin:0 1em .4em 0"><small>{text}</small><br>'
        f'<audio controls preload="metadata" aria-label="{text}" src="{source}"></audio></div>'
    )


def spectra(curves: Mapping[str, tuple[Sequence[float], Sequence[float]]], label: str) -> str:
    """Curves {name: (frequencies in Hz, levels in dB)} over a logarithmic axis, as SVG with a legend."""
    points = {name: [(f, v) for f, v in zip(*xy, strict=True) if f >= 20.0 and math.isfinite(v)] for name, xy in curves.items()}
    points = {name: p for name, p in points.items() if p}
    if not points:
        return ""
    top_hz = max(f for p in points.values() for f, _ in p)
    high = max(v for p in points.values() for _, v in p)
    low = max(min(v for p in points.values() for _, v in p), high - _SPAN_DB)
    width, height = _WIDTH - _LEFT - 10, _HEIGHT - _TOP - _BOTTOM

    def x_at(f: float) -> float:
        return _LEFT + width * math.log(f / 20.0) / math.log(max(top_hz, 40.0) / 20.0)

    def y_at(v: float) -> float:
        return _TOP + height * (high - max(v, low)) / max(high - low, 1.0)

    body = [_tick(x_at(f), _HEIGHT - _BOTTOM + 14, f"{f // 1000}k" if f >= 1000 else str(f)) for f in _TICKS_HZ if f <= top_hz]
    body += [_tick(_LEFT - 20, y_at(v) + 4, f"{v:.0f}") for v in range(math.ceil(low / 20) * 20, math.floor(high) + 1, 20)]
    for number, (name, p) in enumerate(points.items()):
        line = " ".join(f"{x_at(f):.1f},{y_at(v):.1f}" for f, v in p)
        colour = _COLOURS[number % len(_COLOURS)]
        body.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.6"/>')
        at = _LEFT + 8 + 120 * number
        body.append(f'<text x="{at}" y="{_HEIGHT - 4}" font-size="12" fill="{colour}">{html.escape(name)}</text>')
    text = html.escape(label)
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" style="max-width:{_WIDTH}px" role="img" aria-label="{text}">{"".join(body)}</svg>'
    )


def _tick(x: float, y: float, text: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="11" fill="{_SOFT}" text-anchor="middle">{text}</text>'
