"""The page's export buttons: the file for every target is the one that the command writes of the settings saved there."""

import io
import json
import zipfile

import pytest

from stylefx.effects.chain import EffectChain
from stylefx.effects.presets import deepafx_st_chain
from stylefx.effects.registry import make_effect
from stylefx.errors import UserError
from stylefx.inference.export import TARGETS, export_bytes
from stylefx.inference.page.build import write_page
from stylefx.inference.settings_file import StyleSettings
from tests.inference.conftest import speech_like, write

pytestmark = pytest.mark.xdist_group("browser")
ABOUT = {"references": [{"path": 'voices/<A & "B">.wav'}]}


def limited(rate: float, limiter: bool, high_hz: float) -> StyleSettings:
    """Equaliser, compressor and gain, with or without a limiter, one band at ``high_hz``."""
    chain = EffectChain.of(*deepafx_st_chain("full-band").effects, make_effect("gain"), make_effect("limiter", lookahead_ms=4.0))
    settings = chain.complete([
        {"effect": "parametric_eq", "settings": {"low_shelf_gain_db": -1 / 3, "band4_gain_db": 7.25, "band4_cutoff_hz": high_hz}},
        {"effect": "compressor", "settings": {"threshold_db": -31.7, "ratio": 2.9, "attack_ms": 7.7, "knee_db": 5.0}},
        {"effect": "gain", "settings": {"gain_db": 1.5}},
        {"effect": "limiter", "settings": {"gain_db": 6.5, "ceiling_db": -1.0}, "bypass": not limiter},
    ])  # fmt: skip
    return StyleSettings.of(chain, settings, sample_rate=rate, output_gain_db=-0.5, about=ABOUT)


def members(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def open_page(browser, folder, wanted: StyleSettings):
    rate = round(wanted.sample_rate)
    source = write(folder / "a.wav", speech_like(1, rate, seed=1, channels=2), rate)
    write_page(folder / "p.html", wanted, source, [source])
    tab = browser.new_page()
    tab.goto((folder / "p.html").as_uri())
    tab.evaluate("() => stylePage.ready")
    return tab


def pressed(tab, target: str) -> bytes:
    with tab.expect_download() as download:
        tab.click(f"#save-{target}")
    return download.value.path().read_bytes()


@pytest.mark.parametrize(("rate", "limiter", "high_hz"), [(16000.0, True, 6500.0), (8000.0, False, 7000.0)])
def test_every_button_writes_what_the_command_writes(browser, tmp_path, rate, limiter, high_hz):
    tab = open_page(browser, tmp_path, limited(rate, limiter, high_hz))
    tab.fill("[aria-label='threshold, typed']", "-28.4")
    tab.keyboard.press("Enter")
    tab.fill("[aria-label='amount of parametric eq, typed']", "0.9")
    tab.keyboard.press("Enter")
    saved = StyleSettings.from_dict(json.loads(tab.evaluate("JSON.stringify(stylePage.edits.saved())")))
    assert saved.settings[1]["settings"]["threshold_db"] == -28.4
    for target in TARGETS:
        try:
            expected = export_bytes(saved, target)
        except UserError as refused:  # LV2's equaliser has no band above 0.9 Nyquist
            tab.click(f"#save-{target}")
            tab.wait_for_function("(words) => document.getElementById('status').textContent.includes(words)", arg=str(refused))
            continue
        data = pressed(tab, target)
        if target == "dawproject":
            assert members(data) == members(expected)
        else:
            assert data.decode() == expected.decode(), target
    tab.close()
