"""One self-contained HTML page: listen, compare, and go on from the prediction in the browser.

Excerpts of input and reference are embedded as FLAC; the output is rendered in the browser by the same equations as ours
(``scripts/dsp.js``), so that every edit is heard at once.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stylefx.audio.reading import open_blocks
from stylefx.audio.resampling import resample
from stylefx.audio.writing import encode_audio
from stylefx.effects.base import Effect
from stylefx.errors import UserError
from stylefx.files.atomic import publish_text
from stylefx.files.html import Markup, render_html
from stylefx.inference.distances import distance_lines
from stylefx.inference.hearing.predict import agreement_line
from stylefx.inference.page.exports import export_data
from stylefx.inference.page.notes import facts
from stylefx.inference.rendering.meter import Meter, MeterReading
from stylefx.inference.settings_file import StyleSettings

DEFAULT_SECONDS = 20.0
PAGE_EFFECTS = ("parametric_eq", "compressor", "gain", "limiter")
_LOUDEST = 0.999
_PLACES = 12
#: in the order in which they need one another; worklet.js is embedded apart
PAGE_SCRIPTS = (
    "meters", "charts", "edits", "equaliser", "pictures", "player", "waveform", "panel", "blind", "export/plan", "export/fit",
    "export/scripts", "export/board", "export/code", "export/dawproject", "export/buttons", "weights", "page",
)  # fmt: skip
_FOLDER = Path(__file__).parent


def write_page(
    path: str | Path,
    style: StyleSettings,
    source: str | Path,
    references: Sequence[str | Path],
    seconds: float = DEFAULT_SECONDS,
    weights: dict[str, Any] | None = None,
) -> None:
    """Write the page for one transfer; ``seconds`` is the length of the excerpts. Several references: the first is heard, and
    ``weights`` (``weight_grid``) gives them sliders.

    UserError for effects that the page cannot render in the browser.
    """
    publish_text(Path(path), build_page(style, source, references, seconds, weights))


def build_page(
    style: StyleSettings,
    source: str | Path,
    references: Sequence[str | Path],
    seconds: float,
    weights: dict[str, Any] | None = None,
) -> str:
    """The HTML text."""
    _check(style)
    audio, rate = excerpt(source, seconds)
    reference, reference_rate = excerpt(references[0], seconds)
    reference = resample(reference, reference_rate, rate) if reference_rate != rate else reference
    data = {
        "sampleRate": rate,
        "effects": [page_effect(*pair) for pair in zip(style.chain.effects, style.settings, strict=True)],
        "outputGainDb": style.output_gain_db,
        "document": style.to_dict(),
        "audio": {"input": _embedded(audio, rate), "reference": _embedded(reference, rate)},
        "whole": {
            "input": _whole(_measured(source)),
            "output": _finite(style.about.get("output", {})),
            "reference": _whole(_measured(references[0])),
        },
        "about": _about(style, source, references, audio.shape[1] / rate),
        "facts": facts(style),
        "name": Path(source).stem,
        "exports": export_data(style),
        "weights": weights,
    }
    title = f"{Path(source).name} in the style of {', '.join(Path(r).name for r in references)}"
    scripts = {name: page_script(name) for name in ("limiter", "dsp", "worklet", *PAGE_SCRIPTS)}
    return render_html(
        _FOLDER / "page.html", title=title, data=data, scripts=scripts, order=PAGE_SCRIPTS, style_sheet=style_sheet()
    )


def style_sheet() -> Markup:
    return Markup((_FOLDER / "page.css").read_text(encoding="utf-8"))


def tool_html() -> Markup:
    """Player, charts, settings and exports, which the studio shows too."""
    return Markup(render_html(_FOLDER / "tool.html"))


def page_script(name: str) -> Markup:
    return Markup((_FOLDER / "scripts" / f"{name}.js").read_text(encoding="utf-8"))


def excerpt(path: str | Path, seconds: float) -> tuple[np.ndarray, int]:
    """A typical stretch of a recording, float32 (channels <= 2, n), and its rate: of some places spread over it, the one with
    the median power among those that sound."""
    with open_blocks(path) as reader:
        rate, span = reader.sample_rate, round(seconds * reader.sample_rate)
        places = np.unique(np.linspace(0, max(0, reader.info.frames - span), _PLACES).round().astype(int))
        found: list[tuple[float, np.ndarray]] = []
        for place in places:
            if place >= reader.position:
                reader.skip(int(place) - reader.position)
                block = reader.read(span)
                found.append((float(np.mean(np.square(block, dtype=np.float64))) if block.size else 0.0, block))
        found.sort(key=lambda f: f[0])
        sounding = [f for f in found if f[0] > 1e-3 * found[-1][0]] or found
        return sounding[len(sounding) // 2][1], rate


def _embedded(audio: np.ndarray, rate: int) -> dict[str, Any]:
    """FLAC of 16 bits; what exceeds full scale is lowered, and the browser raises it again."""
    peak = float(np.abs(audio).max(initial=0.0))
    gain = min(1.0, _LOUDEST / peak) if peak else 1.0
    flac = encode_audio(audio * np.float32(gain), rate, "flac16")
    return {"flac": base64.b64encode(flac).decode(), "channels": audio.shape[0], "gainDb": -20 * math.log10(gain)}


def page_effect(effect: Effect, entry: dict[str, Any]) -> dict[str, Any]:
    """An effect as the scripts of the page know it."""
    out = {"effect": effect.name, "settings": entry["settings"], "bypass": entry["bypass"] or entry["mix"] == 0.0}
    out["parameters"] = [p.to_dict() for p in effect.parameters]
    out["config"] = effect.config()
    if hasattr(effect, "bands"):
        out["bands"] = [{"name": name, "kind": kind} for name, kind, *_ in effect.bands]
    return out


def _check(style: StyleSettings) -> None:
    for entry in style.settings:
        if entry["effect"] not in PAGE_EFFECTS:
            raise UserError(f"the page cannot render {entry['effect']!r} in a browser; it knows {', '.join(PAGE_EFFECTS)}")
        if entry["mix"] not in (0.0, 1.0):
            raise UserError(f"the page cannot mix {entry['effect']!r} to {entry['mix']:g}; set its mix to 1")


def _measured(path: str | Path) -> MeterReading:
    with open_blocks(path) as reader:
        meter = Meter(reader.sample_rate, reader.channels)
        for block in reader:
            meter(block)
    return meter.reading()


def _whole(reading: MeterReading) -> dict[str, Any]:
    return _finite({"lufs": reading.lufs, "true_peak_dbtp": reading.true_peak_dbtp})


def _finite(values: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in values.items() if isinstance(v, float) and math.isfinite(v)}


def _about(style: StyleSettings, source: str | Path, references: Sequence[str | Path], seconds: float) -> str:
    parts = [f"{seconds:.1f} s of {Path(source).name}", f"reference {Path(references[0]).name}"]
    agreement = style.about.get("confidence", {})
    if agreement:
        parts.append(agreement_line(agreement))
    parts += distance_lines(style.about)
    if style.about.get("intensity", 1.0) != 1.0:
        parts.append(f"intensity {style.about['intensity']:g}")
    return " · ".join(parts)
