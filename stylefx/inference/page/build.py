"""One self-contained HTML page: listen, compare, and go on from the prediction in the browser.

Excerpts of input and reference are embedded as FLAC; the output is rendered in the browser by the same equations as ours
(``dsp.js``), so that the sliders are heard at once.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Sequence
from html import escape
from pathlib import Path

import numpy as np

from stylefx.audio.reading import open_blocks
from stylefx.audio.resampling import resample
from stylefx.audio.writing import encode_audio
from stylefx.errors import UserError
from stylefx.inference.meter import Meter, Reading
from stylefx.inference.publish import publish_text
from stylefx.inference.settings_file import StyleSettings

DEFAULT_SECONDS = 20.0
_EFFECTS = ("parametric_eq", "compressor", "gain")
_LOUDEST = 0.999
_PLACES = 12
_SCRIPTS = (
    "WORKLET",
    "DSP",
    "METERS",
    "CHARTS",
    "PICTURES",
    "PLAYER",
    "PAGE",
)  # each from the file of that name in small letters


def write_page(
    path: str | Path,
    style: StyleSettings,
    source: str | Path,
    references: Sequence[str | Path],
    seconds: float = DEFAULT_SECONDS,
) -> None:
    """Write the page for one transfer; ``seconds`` is the length of the excerpts. Several references: the first is heard.

    UserError for effects that the page cannot render in the browser.
    """
    publish_text(Path(path), build_page(style, source, references, seconds))


def build_page(style: StyleSettings, source: str | Path, references: Sequence[str | Path], seconds: float) -> str:
    """The HTML text."""
    _check(style)
    audio, rate = excerpt(source, seconds)
    reference, reference_rate = excerpt(references[0], seconds)
    reference = resample(reference, reference_rate, rate) if reference_rate != rate else reference
    data = {
        "sampleRate": rate,
        "effects": [_effect(*pair) for pair in zip(style.chain.effects, style.settings, strict=True)],
        "outputGainDb": style.output_gain_db,
        "document": style.to_dict(),
        "audio": {"input": _embedded(audio, rate), "reference": _embedded(reference, rate)},
        "whole": {
            "input": _whole(_measured(source)),
            "output": _finite(style.about.get("output", {})),
            "reference": _whole(_measured(references[0])),
        },
        "about": _about(style, source, references, audio.shape[1] / rate),
        "saveAs": f"{Path(source).stem}-settings.json",
    }
    return _fill(f"{Path(source).name} in the style of {', '.join(Path(r).name for r in references)}", data)


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


def _embedded(audio: np.ndarray, rate: int) -> dict:
    """FLAC of 16 bits; what exceeds full scale is lowered, and the browser raises it again."""
    peak = float(np.abs(audio).max(initial=0.0))
    gain = min(1.0, _LOUDEST / peak) if peak else 1.0
    flac = encode_audio(audio * np.float32(gain), rate, "flac16")
    return {"flac": base64.b64encode(flac).decode(), "channels": audio.shape[0], "gainDb": -20 * math.log10(gain)}


def _effect(effect, entry: dict) -> dict:
    out = {"effect": effect.name, "settings": entry["settings"], "bypass": entry["bypass"] or entry["mix"] == 0.0}
    out["parameters"] = [p.to_dict() for p in effect.parameters]
    if hasattr(effect, "bands"):
        out["bands"] = [{"name": name, "kind": kind} for name, kind, *_ in effect.bands]
    return out


def _check(style: StyleSettings) -> None:
    for entry in style.settings:
        if entry["effect"] not in _EFFECTS:
            raise UserError(f"the page cannot render {entry['effect']!r} in a browser; it knows {', '.join(_EFFECTS)}")
        if entry["mix"] not in (0.0, 1.0):
            raise UserError(f"the page cannot mix {entry['effect']!r} to {entry['mix']:g}; set its mix to 1")


def _measured(path: str | Path) -> Reading:
    with open_blocks(path) as reader:
        meter = Meter(reader.sample_rate, reader.channels)
        for block in reader:
            meter(block)
    return meter.reading()


def _whole(reading: Reading) -> dict:
    return _finite({"lufs": reading.lufs, "true_peak_dbtp": reading.true_peak_dbtp})


def _finite(values: dict) -> dict:
    return {k: v for k, v in values.items() if isinstance(v, float) and math.isfinite(v)}


def _about(style: StyleSettings, source: str | Path, references: Sequence[str | Path], seconds: float) -> str:
    parts = [f"{seconds:.1f} s of {Path(source).name}", f"reference {Path(references[0]).name}"]
    agreement = style.about.get("confidence", {})
    if agreement:
        parts.append(f"agreement of {agreement['windows']} windows: {agreement['agreement']}")
    if style.about.get("intensity", 1.0) != 1.0:
        parts.append(f"intensity {style.about['intensity']:g}")
    return " · ".join(parts)


def _fill(title: str, data: dict) -> str:
    """The template with its scripts and data in place."""
    folder = Path(__file__).parent
    text = (folder / "page.html").read_text(encoding="utf-8")
    values = {name: (folder / f"{name.lower()}.js").read_text(encoding="utf-8") for name in _SCRIPTS}
    values["DATA"] = json.dumps(data, allow_nan=False).replace("</", "<\\/")
    values["TITLE"] = escape(title)
    for name, value in values.items():
        text = text.replace("{{" + name + "}}", value)
    return text
