"""Formats that other programs read: DAWproject by its schema and a parser of its own, Equalizer APO's text, LV2 presets."""

from __future__ import annotations

import io
import math
import os
import re
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import scipy.signal
import soundfile

from stylefx.effects.chain import EffectChain
from stylefx.effects.palette.parametric_eq import ParametricEq
from stylefx.effects.registry import make_effect
from stylefx.errors import UserError
from stylefx.inference.export import export_bytes, export_text
from stylefx.inference.settings_file import StyleSettings
from tests.conftest import require_program
from tests.inference.conftest import speech_like, write
from tests.inference.export.test_export import COMPRESSOR, EQ, RATE, difference_db, ours, style

if TYPE_CHECKING:
    import numpy as np

etree = pytest.importorskip("lxml.etree")

#: what the format's Project.xsd says of the parts that are written: children in their order, attributes that must be there
CHILDREN = {
    "Project": ["Application", "Transport", "Structure", "Arrangement", "Scenes"],
    "Channel": ["Devices", "Mute", "Pan", "Sends", "Volume"],
    "Equalizer": ["Parameters", "Enabled", "State", "Band", "InputGain", "OutputGain"],
    "Band": ["Freq", "Gain", "Q", "Enabled"],
    "Compressor": [
        "Parameters", "Enabled", "State", "Attack", "AutoMakeup", "InputGain", "OutputGain", "Ratio", "Release", "Threshold",
    ],
    "NoiseGate": ["Parameters", "Enabled", "State", "Attack", "Range", "Ratio", "Release", "Threshold"],
    "Limiter": ["Parameters", "Enabled", "State", "Attack", "InputGain", "OutputGain", "Release", "Threshold"],
}  # fmt: skip
UNITS = {"linear", "normalized", "percent", "decibel", "hertz", "semitones", "seconds", "beats", "bpm"}


def project() -> bytes:
    chain = EffectChain.of(
        make_effect("gate"), ParametricEq(), make_effect("compressor"), make_effect("gain"), make_effect("limiter")
    )
    settings = [
        {"effect": "gate", "settings": {"threshold_db": -50.0, "hold_ms": 15.0}},
        {"effect": "parametric_eq", "settings": EQ}, {"effect": "compressor", "settings": COMPRESSOR},
        {"effect": "gain", "settings": {"gain_db": 2.0}}, {"effect": "limiter", "settings": {"ceiling_db": -1.0}},
    ]  # fmt: skip
    about = {"references": [{"path": "voices/<A & B>.wav"}]}
    return export_bytes(StyleSettings.of(chain, settings, sample_rate=48000.0, output_gain_db=-6.0, about=about), "dawproject")


def documents(data: bytes):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return [etree.fromstring(archive.read(name)) for name in ("project.xml", "metadata.xml")]


def test_a_dawproject_keeps_the_rules_of_its_schema():
    root, metadata = documents(project())
    for element in root.iter():
        if element.tag in CHILDREN:
            places = [CHILDREN[element.tag].index(child.tag) for child in element]
            assert places == sorted(places), element.tag
        if "unit" in element.attrib:
            assert element.get("unit") in UNITS
            float(element.get("value"))
    for device in root.find("Structure/Track/Channel/Devices"):
        assert (device.get("deviceRole"), bool(device.get("deviceName"))) == ("audioFX", True)
    identities = root.xpath("//@id")
    assert len(set(identities)) == len(identities)
    assert root.find("Structure/Track/Channel").get("destination") in identities
    assert [child.tag for child in metadata] == ["Title", "Comment"]
    folder = os.environ.get("STYLEFX_DAWPROJECT_SCHEMAS")  # Project.xsd and MetaData.xsd, which are not ours to ship
    for name, document in (("Project.xsd", root), ("MetaData.xsd", metadata)) if folder else ():
        etree.XMLSchema(etree.parse(Path(folder) / name)).assertValid(document)


def test_a_dawproject_holds_the_settings():
    root, metadata = documents(project())
    devices = root.find("Structure/Track/Channel/Devices")
    assert [d.tag for d in devices] == ["NoiseGate", "Equalizer", "Compressor", "Limiter"]
    assert metadata.findtext("Title") == root.find("Structure/Track").get("name") == "stylefx style of <A & B>"
    band = devices.find("Equalizer")[2]
    assert (band.get("type"), float(band.find("Freq").get("value")), float(band.find("Gain").get("value"))) == (
        "bell",
        450.0,
        -6.0,
    )
    compressor = {child.tag: child.get("value") for child in devices.find("Compressor")}
    assert (float(compressor["Threshold"]), float(compressor["Ratio"]), float(compressor["Attack"])) == (-32.0, 4.0, 0.012)
    volume = root.find("Structure/Track/Channel/Volume")
    assert 20 * math.log10(float(volume.get("value"))) == pytest.approx(-4.0)
    assert project() == project()


def cookbook(kind: str, f: float, gain_db: float, q: float, rate: float) -> list[float]:
    """A section of R. Bristow-Johnson's cookbook as it stands there."""
    a, w = 10 ** (gain_db / 40), 2 * math.pi * f / rate
    c, alpha = math.cos(w), math.sin(w) / (2 * q)
    if kind == "PK":
        return [1 + alpha * a, -2 * c, 1 - alpha * a, 1 + alpha / a, -2 * c, 1 - alpha / a]
    if kind == "NO":
        return [1, -2 * c, 1, 1 + alpha, -2 * c, 1 - alpha]
    if kind in ("LPQ", "HPQ"):
        s = 1 if kind == "LPQ" else -1
        return [(1 - s * c) / 2, s * (1 - s * c), (1 - s * c) / 2, 1 + alpha, -2 * c, 1 - alpha]
    s, root = (1 if kind == "LSC" else -1), 2 * math.sqrt(a) * alpha
    num = [
        a * ((a + 1) - s * (a - 1) * c + root),
        s * 2 * a * ((a - 1) - s * (a + 1) * c),
        a * ((a + 1) - s * (a - 1) * c - root),
    ]
    return [*num, (a + 1) + s * (a - 1) * c + root, -s * 2 * ((a - 1) + s * (a + 1) * c), (a + 1) + s * (a - 1) * c - root]


def through_apo(text: str, audio: np.ndarray, rate: float) -> np.ndarray:
    """What a reader of the text makes of it, by the cookbook and scipy."""
    audio = audio * 10 ** (float(re.search(r"^Preamp: (\S+) dB", text, re.M)[1]) / 20)
    line = r"^Filter \d+: ON (\w+) Fc (\S+) Hz(?: Gain (\S+) dB)? Q (\S+)\r?$"
    for kind, f, gain_db, q in re.findall(line, text, re.M):
        b0, b1, b2, a0, a1, a2 = cookbook(kind, float(f), float(gain_db or 0), float(q), rate)
        audio = scipy.signal.lfilter([b0, b1, b2], [a0, a1, a2], audio)
    return audio


def test_equalizer_apo_text_is_our_equaliser():
    kinds = ("peak", "low_shelf", "high_shelf", "high_pass", "low_pass", "notch")
    values = {f"{k}_cutoff_hz": 300.0 * (i + 1) for i, k in enumerate(kinds)} | {"peak_gain_db": 8.0, "low_shelf_gain_db": -7.0}
    values |= {"high_shelf_gain_db": 5.0, "low_pass_cutoff_hz": 9000.0, "high_pass_cutoff_hz": 60.0, "notch_q": 5.0}
    chain = EffectChain.of(ParametricEq(bands=[{"name": k, "kind": k, "range_hz": [20, 20000]} for k in kinds]))
    wanted = StyleSettings.of(chain, [{"effect": "parametric_eq", "settings": values}], sample_rate=48000.0, output_gain_db=-5.0)
    audio = speech_like(1.0, 48000, seed=1, channels=2)
    text = export_text(wanted, "equalizer-apo")
    assert text.count("Filter ") == 6
    assert difference_db(through_apo(text, audio.astype(float), 48000.0), ours(wanted, audio, 48000)) < -100
    assert "no dynamics" in export_text(style(EQ, COMPRESSOR), "equalizer-apo")
    with pytest.raises(UserError, match="no band"):
        export_text(style(None, COMPRESSOR), "equalizer-apo")


def through_lv2(text: str, source: Path, folder: Path) -> np.ndarray:
    """The presets' numbers in the plug-ins themselves, one after the other."""
    for i, (uri, ports) in enumerate(re.findall(r"lv2:appliesTo <([^>]+)>(.*?)\] \.", text + "] .", re.S)):
        out = folder / f"{i}.wav"
        controls = [w for pair in re.findall(r'lv2:symbol "(\w+)" ; pset:value (\S+)', ports) for w in ("-c", *pair)]
        subprocess.run(["lv2apply", "-i", source, "-o", out, *controls, uri], check=True, capture_output=True, timeout=120)
        source = out
    return soundfile.read(source, always_2d=True, dtype="float64")[0].T


@pytest.mark.parametrize(("compressor", "limit"), [(None, -75), (COMPRESSOR, -26)])
def test_lv2_presets_in_the_plug_ins_sound_like_ours(tmp_path, compressor, limit):
    require_program("lv2apply", "apt-get install lilv-utils")
    found = subprocess.run(["lv2ls"], capture_output=True, text=True, check=False).stdout
    if "lsp-plug.in/plugins/lv2/compressor_stereo" not in found:
        if os.environ.get("CI") == "true":
            pytest.fail("lsp-plugins-lv2 is not installed: apt-get install lsp-plugins-lv2")
        pytest.skip("lsp-plugins-lv2 is not installed: apt-get install lsp-plugins-lv2")
    audio = 0.5 * speech_like(3.0, RATE, seed=1, channels=2)
    wanted = style(EQ, compressor, gain_db=-6.0)
    out = through_lv2(export_text(wanted, "lv2"), write(tmp_path / "in.wav", audio, RATE), tmp_path)
    assert difference_db(out[:, : audio.shape[1]], ours(wanted, audio)) < limit


def test_lv2_presets_are_turtle(tmp_path):
    if shutil.which("sord_validate") is None and shutil.which("serdi") is None:
        pytest.skip("no parser of Turtle is installed: apt-get install serdi")
    (tmp_path / "manifest.ttl").write_text(export_text(style(EQ, COMPRESSOR), "lv2"))
    subprocess.run(["serdi", "-q", tmp_path / "manifest.ttl"], check=True, capture_output=True)
