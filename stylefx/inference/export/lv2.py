"""LV2 presets for the Linux Studio Plugins (LSP): their parametric equaliser and their compressor, in the order of the chain.

The equaliser's filters in its mode "APO" are R. Bristow-Johnson's, as ours. The compressor smooths the level before its
curve and is fitted to ours (``stylefx.foreign.fit``). The file is a whole bundle: as manifest.ttl in a folder of ~/.lv2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from stylefx.errors import UserError
from stylefx.foreign.stages import LN9, BandStage, CompressorStage, GainStage
from stylefx.inference.export.stages import fit_compressors, header, stages, title
from stylefx.inference.settings_file import StyleSettings

EQUALISER, COMPRESSOR = (f"http://lsp-plug.in/plugins/lv2/{name}" for name in ("para_equalizer_x16_stereo", "compressor_stereo"))
_MOST_BANDS = 16
_TYPES = {"peak": 1, "high_pass": 2, "high_shelf": 3, "low_pass": 4, "low_shelf": 5, "notch": 6}
_APO = 6  # its filter mode with the cookbook's equations
_TIME = -math.log(1 - math.sqrt(0.5)) / LN9  # its times reach 1 - 0.29 of a step
_PEAK, _LOUDER = 0, 5  # side chain: peaks, of the louder channel


@dataclass
class _Preset:
    uri: str
    ports: dict[str, float] = field(default_factory=dict)
    bands: int = 0


def render(style: StyleSettings) -> str:
    """The Turtle text of the presets; UserError for what the plug-ins have not."""
    plan, _, _, notes = stages(style, "lv2")
    plan, fits = fit_compressors(plan, style, "lv2")
    presets: list[_Preset] = []
    for stage in plan:
        if isinstance(stage, BandStage):
            _add_band(presets, stage)
        elif isinstance(stage, CompressorStage):
            presets.append(_Preset(COMPRESSOR, _compressor(stage)))
        else:
            _add_gain(presets, stage)
    usage = "Use: copy this file as manifest.ttl into a new folder ~/.lv2/NAME.lv2 and choose the presets in the plug-ins"
    order = "that are named, in this order. Needs the Linux Studio Plugins (LSP)."
    words = title(style).replace("\\", "/").replace('"', "'")
    lines = [*header(style, "lv2", [usage, order, *notes, *fits]), *PREFIXES, ""]
    for i, preset in enumerate(presets):
        lines += _turtle(f"{words} {i + 1}", f"urn:stylefx:preset:{i + 1}", preset)
    return "\n".join(lines)


PREFIXES = (
    "@prefix lv2: <http://lv2plug.in/ns/lv2core#> .",
    "@prefix pset: <http://lv2plug.in/ns/ext/presets#> .",
    "@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .",
)


def _turtle(label: str, identity: str, preset: _Preset) -> list[str]:
    ports = [f'  [ lv2:symbol "{name}" ; pset:value {value:.9f} ]' for name, value in preset.ports.items()]
    head = f'<{identity}> a pset:Preset ; lv2:appliesTo <{preset.uri}> ; rdfs:label "{label}" ; lv2:port'
    return [head, " ,\n".join(ports) + " .", ""]


def _add_band(presets: list[_Preset], band: BandStage) -> None:
    if band.sections:
        raise UserError(f"lv2: the band {band.name} lies above 0.9 Nyquist of the settings' rate; leave it out")
    if not presets or presets[-1].uri != EQUALISER or "g_out" in presets[-1].ports or presets[-1].bands == _MOST_BANDS:
        presets.append(_Preset(EQUALISER, {"mode": 0.0}))
    preset, i = presets[-1], presets[-1].bands
    values = {"ft": _TYPES[band.kind], "fm": _APO, "s": 0, "f": band.cutoff_hz, "g": 10 ** (band.gain_db / 20), "q": band.q}
    preset.ports |= {f"{name}_{i}": float(value) for name, value in values.items()}
    preset.bands += 1


def _add_gain(presets: list[_Preset], stage: GainStage) -> None:
    if not presets:
        presets.append(_Preset(EQUALISER, {"mode": 0.0}))
    ports = presets[-1].ports
    ports["g_out"] = ports.get("g_out", 1.0) * 10 ** (stage.gain_db / 20)


def _compressor(stage: CompressorStage) -> dict[str, float]:
    return {
        "sct": 0.0, "scm": _PEAK, "scs": _LOUDER, "sla": 0.0, "cm": 0.0, "rrl": 0.0, "mk": 1.0,
        "al": 10 ** (stage.threshold_db / 20), "cr": stage.ratio, "kn": 10 ** (-stage.knee_db / 2 / 20),
        "at": stage.attack_ms * _TIME, "rt": stage.release_ms * _TIME,
    }  # fmt: skip
