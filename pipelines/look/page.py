"""The frame of our HTML pages: one file, no external requests, readable on a phone and in the dark, tables that sort."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np

from stylefx.files.html import Markup, render_html, template_macros

_FOLDER = Path(__file__).parent
_LEFT = 34  # of a spectrogram, for the numbers of its axis


class Parts(Protocol):
    """The macros of parts.html as functions."""

    def __getattr__(self, name: str) -> Callable[..., Markup]: ...


def parts() -> Parts:
    """The pieces that pages are made of, as functions that return ``Markup``: see parts.html."""
    return cast("Parts", template_macros(_FOLDER / "parts.html"))


def page(title: str, lead: str, sections: Sequence[tuple[str, Markup]]) -> str:
    """A whole page; ``sections`` are (heading, HTML), and get a list of contents where they are several."""
    return render_html(_FOLDER / "page.html", title=title, lead=lead, sections=list(sections))


def table(header: Sequence[str], rows: Sequence[Sequence[Any]], empty: str = "none") -> Markup:
    """A sortable table; numbers are right-aligned and sort as numbers. On a phone each row is a list of its own."""
    if not rows:
        return parts().nothing(empty)
    heads = [(name, isinstance(cell, float | int)) for name, cell in zip(header, rows[0], strict=True)]
    return parts().table(heads, [[_cell(name, cell) for name, cell in zip(header, row, strict=True)] for row in rows])


def _cell(label: str, value: object) -> dict[str, Any]:
    if isinstance(value, float | int):
        text = f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"
        return {"label": label, "numeric": True, "value": repr(value), "text": text}
    return {"label": label, "numeric": False, "text": str(value)}


def figure(caption: str, svg: Markup) -> Markup:
    return parts().figure(caption, svg)


def grid(*figures: Markup) -> Markup:
    return parts().grid(figures)


def joined(*pieces: Markup) -> Markup:
    return Markup("").join(pieces)


def audio(data: bytes, kind: str, label: str) -> Markup:
    """A player; ``kind`` is "flac" or "wav"."""
    return parts().audio(kind, base64.b64encode(data).decode(), label)


def spectrogram(wave: np.ndarray, sample_rate: int, width: int = 300, height: int = 110) -> Markup:
    """A picture of a mono wave (samples,) with its axes: 90 dB below the maximum is black, frequency runs upwards on a
    square-root axis."""
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
    top, seconds = sample_rate / 2000, len(wave) / sample_rate
    y_ticks = [(round(height * (1 - (khz / top) ** 0.5), 1), f"{khz:g}") for khz in _kilohertz(top)]
    x_ticks = [(round(width * t / seconds, 1), f"{t:g}") for t in _seconds(seconds)]
    label = f"spectrogram, {seconds:.1f} s, 0 to {top:g} kHz"
    return parts().spectrogram(base64.b64encode(out.getvalue()).decode(), width, height, _LEFT, x_ticks, y_ticks, label)


def _kilohertz(top: float) -> list[float]:
    """Ticks of a square-root axis that do not collide."""
    return [k for k in (0.0, 0.5, 2.0, 5.0, 10.0, 20.0) if k <= 0.95 * top]


def _seconds(length: float) -> list[float]:
    step = next(s for s in (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 1e9) if length / s <= 6)
    return [round(i * step, 3) for i in range(int(0.93 * length / step) + 1)]


def _colours(shade: np.ndarray) -> np.ndarray:
    """[0, 1] -> RGB bytes along black, violet, orange, light yellow."""
    stops = np.array([[0, 0, 4], [81, 18, 124], [183, 55, 121], [252, 137, 97], [252, 253, 191]], float)
    position = shade * (len(stops) - 1)
    low = np.minimum(position.astype(int), len(stops) - 2)
    part = (position - low)[..., None]
    return np.asarray(stops[low] * (1 - part) + stops[low + 1] * part).astype(np.uint8)
