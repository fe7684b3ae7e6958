"""DAWproject: one track with the format's own devices (Equalizer, Compressor, NoiseGate, Limiter), which a DAW that reads it
turns into its built-in ones. A .dawproject is a ZIP with project.xml and metadata.xml (format version 1.0).

The format names parameters and units and no algorithm: how close it sounds is the DAW's affair.
"""

from __future__ import annotations

import io
import xml.etree.ElementTree as ET
import zipfile
from collections.abc import Mapping

from stylefx import __version__
from stylefx.effects.base import Effect
from stylefx.errors import UserError
from stylefx.foreign.stages import number
from stylefx.inference.export.stages import title
from stylefx.inference.settings_file import StyleSettings

_BANDS = {
    "peak": "bell", "low_shelf": "lowShelf", "high_shelf": "highShelf",
    "high_pass": "highPass", "low_pass": "lowPass", "notch": "notch",
}  # fmt: skip
_DATE = (1980, 1, 1, 0, 0, 0)  # equal settings give equal bytes


def render(style: StyleSettings) -> bytes:
    """The bytes of a .dawproject; UserError for an effect that the format has no device for."""
    project = ET.Element("Project", version="1.0")
    ET.SubElement(project, "Application", name="stylefx", version=__version__)
    structure = ET.SubElement(project, "Structure")
    track = ET.SubElement(structure, "Track", contentType="audio", loaded="true", id="track", name=title(style))
    channel = ET.SubElement(track, "Channel", audioChannels="2", destination="master", role="regular", solo="false", id="channel")
    devices = ET.SubElement(channel, "Devices")
    volume_db = style.output_gain_db
    for number_of, (effect, entry) in enumerate(zip(style.chain.effects, style.settings, strict=True)):
        if entry["bypass"] or entry["mix"] == 0.0:
            continue
        if entry["mix"] != 1.0:
            raise UserError(f"dawproject cannot express {effect.name} mixed to {entry['mix']:g}; set its mix to 1")
        if effect.name == "gain":
            volume_db += entry["settings"]["gain_db"]
        elif effect.name in _WRITERS:
            _WRITERS[effect.name](devices, f"device{number_of}", effect, entry["settings"])
        else:
            known = ", ".join(["gain", *_WRITERS])
            raise UserError(f"dawproject has no device for the effect {effect.name!r}; it has {known}")
    _real(channel, "Volume", 10 ** (volume_db / 20), "linear")
    master = ET.SubElement(structure, "Track", contentType="audio", loaded="true", id="master-track", name="Master")
    ET.SubElement(master, "Channel", audioChannels="2", role="master", solo="false", id="master")
    metadata = ET.Element("MetaData")
    ET.SubElement(metadata, "Title").text = title(style)
    ET.SubElement(metadata, "Comment").text = "Written by `stylefx export --to dawproject`. Times are those of 10 to 90 %."
    return _zipped({"project.xml": project, "metadata.xml": metadata})


def _zipped(documents: Mapping[str, ET.Element]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, root in documents.items():
            ET.indent(root)
            text = ET.tostring(root, encoding="utf-8", xml_declaration=True)
            archive.writestr(zipfile.ZipInfo(name, _DATE), text, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def _device(devices: ET.Element, kind: str, identity: str) -> ET.Element:
    device = ET.SubElement(devices, kind, deviceName=kind, deviceRole="audioFX", loaded="true", id=identity, name=kind)
    ET.SubElement(device, "Enabled", value="true", id=f"{identity}-enabled")
    return device


def _real(parent: ET.Element, name: str, value: float, unit: str) -> None:
    ET.SubElement(parent, name, value=number(value), unit=unit, id=f"{parent.get('id')}-{name.lower()}")


def _equalizer(devices: ET.Element, identity: str, effect: Effect, values: Mapping[str, float]) -> None:
    device = _device(devices, "Equalizer", identity)
    for i, (name, kind, *_) in enumerate(effect.bands):  # type: ignore[attr-defined]
        band = ET.SubElement(device, "Band", type=_BANDS[kind], order="2")
        parameters = {"Freq": (values[f"{name}_cutoff_hz"], "hertz"), "Q": (values[f"{name}_q"], "linear")}
        if f"{name}_gain_db" in values:
            parameters["Gain"] = (values[f"{name}_gain_db"], "decibel")
        for tag in ("Freq", "Gain", "Q"):  # the order of the schema
            if tag in parameters:
                value, unit = parameters[tag]
                ET.SubElement(band, tag, value=number(value), unit=unit, id=f"{identity}-band{i + 1}-{tag.lower()}")
        ET.SubElement(band, "Enabled", value="true", id=f"{identity}-band{i + 1}-enabled")


def _compressor(devices: ET.Element, identity: str, effect: Effect, values: Mapping[str, float]) -> None:
    device = _device(devices, "Compressor", identity)
    _real(device, "Attack", values["attack_ms"] / 1000, "seconds")
    ET.SubElement(device, "AutoMakeup", value="false", id=f"{identity}-automakeup")
    _real(device, "OutputGain", values["makeup_gain_db"], "decibel")
    _real(device, "Ratio", values["ratio"], "linear")
    _real(device, "Release", values["release_ms"] / 1000, "seconds")
    _real(device, "Threshold", values["threshold_db"], "decibel")


def _gate(devices: ET.Element, identity: str, effect: Effect, values: Mapping[str, float]) -> None:
    device = _device(devices, "NoiseGate", identity)
    _real(device, "Attack", values["attack_ms"] / 1000, "seconds")
    _real(device, "Range", -values["range_db"], "decibel")
    if "ratio" in values:
        _real(device, "Ratio", values["ratio"], "linear")
    _real(device, "Release", values["release_ms"] / 1000, "seconds")
    _real(device, "Threshold", values["threshold_db"], "decibel")


def _limiter(devices: ET.Element, identity: str, effect: Effect, values: Mapping[str, float]) -> None:
    device = _device(devices, "Limiter", identity)
    _real(device, "Attack", effect.config()["lookahead_ms"] / 1000, "seconds")
    _real(device, "InputGain", values["gain_db"], "decibel")
    _real(device, "Release", values["release_ms"] / 1000, "seconds")
    _real(device, "Threshold", values["ceiling_db"], "decibel")


_WRITERS = {
    "parametric_eq": _equalizer, "compressor": _compressor, "gate": _gate, "expander": _gate, "limiter": _limiter,
}  # fmt: skip
