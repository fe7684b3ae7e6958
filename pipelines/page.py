"""The frame of our HTML pages: one file, no external requests, readable on a phone and in the dark, tables that sort."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape
from pathlib import Path

import numpy as np

_TEMPLATE = Path(__file__).with_name("page.html")


def page(title: str, lead: str, sections: Sequence[tuple[str, str]]) -> str:
    """A whole page; ``sections`` are (heading, HTML)."""
    body = "".join(f"<section><h2>{escape(heading)}</h2>{html}</section>" for heading, html in sections)
    template = _TEMPLATE.read_text(encoding="utf-8")
    return template.replace("{{title}}", escape(title)).replace("{{lead}}", lead).replace("{{body}}", body)


def table(header: Sequence[str], rows: Sequence[Sequence], empty: str = "none") -> str:
    """A sortable table; numbers are right-aligned and sort as numbers."""
    if not rows:
        return f'<p class="none">{escape(empty)}</p>'
    kinds = [' class="n"' if isinstance(cell, float | int) else "" for cell in rows[0]]
    head = "".join(
        f'<th scope="col"{k}><button type="button">{escape(h)}</button></th>' for h, k in zip(header, kinds, strict=True)
    )
    lines = []
    for row in rows:
        cells = []
        for cell in row:
            if isinstance(cell, float | int):
                text = f"{cell:,}" if isinstance(cell, int) else f"{cell:,.2f}"
                cells.append(f'<td class="n" data-v="{cell!r}">{text}</td>')
            else:
                cells.append(f"<td>{escape(str(cell))}</td>")
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return f'<div class="wide"><table class="sort"><thead><tr>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table></div>'


def figure(caption: str, svg: str) -> str:
    return f"<figure>{svg}<figcaption>{escape(caption)}</figcaption></figure>"


def grid(*figures: str) -> str:
    return f'<div class="grid">{"".join(figures)}</div>'


def audio(data: bytes, kind: str, label: str) -> str:
    """A player; ``kind`` is "flac" or "wav"."""
    encoded = base64.b64encode(data).decode()
    return f'<audio controls preload="metadata" aria-label="{escape(label)}" src="data:audio/{kind};base64,{encoded}"></audio>'


def spectrogram(wave: np.ndarray, sample_rate: int, width: int = 360, height: int = 120) -> str:
    """An image of a mono wave (samples,): 100 dB below the maximum is black, frequency runs upwards on a square-root axis."""
    from PIL import Image

    size = 1024
    hop = max((len(wave) - size) // width, 1)
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(wave, (0, max(size - len(wave), 0))), size)[::hop][:width]
    power = np.abs(np.fft.rfft(frames * np.hanning(size), axis=1)) ** 2
    level = 10.0 * np.log10(power / max(float(power.max()), 1e-12) + 1e-10)
    rows = (np.linspace(1.0, 0.0, height) ** 2 * (level.shape[1] - 1)).astype(int)
    shade = np.clip((level[:, rows].T + 90.0) / 90.0, 0.0, 1.0)
    image = Image.fromarray(_colours(shade)).convert("P", palette=Image.Palette.ADAPTIVE, colors=64)
    out = io.BytesIO()
    image.save(out, "PNG", optimize=True)
    encoded = base64.b64encode(out.getvalue()).decode()
    top = sample_rate / 2000
    return f'<img alt="spectrogram, 0 to {top:g} kHz" width="{width}" height="{height}" src="data:image/png;base64,{encoded}">'


def _colours(shade: np.ndarray) -> np.ndarray:
    """[0, 1] -> RGB bytes along black, violet, orange, light yellow."""
    stops = np.array([[0, 0, 4], [81, 18, 124], [183, 55, 121], [252, 137, 97], [252, 253, 191]], float)
    position = shade * (len(stops) - 1)
    low = np.minimum(position.astype(int), len(stops) - 2)
    part = (position - low)[..., None]
    return (stops[low] * (1 - part) + stops[low + 1] * part).astype(np.uint8)
