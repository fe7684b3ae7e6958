"""The studio in a real browser: dropped files lead to the settings of the command, and what is saved renders as it sounded."""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile

from stylefx.inference.options import TransferOptions
from stylefx.inference.rendering.file import Loudness, render_file
from stylefx.inference.settings_file import load_settings
from stylefx.inference.transfer import StyleTransfer
from tests.studio.conftest import drop, opened, until

pytestmark = pytest.mark.xdist_group("browser")


@pytest.fixture(scope="module")
def tab(browser, address):
    context, tab, wrong = opened(browser, address)
    tab.evaluate("() => styleStudio.ready")
    yield tab
    context.close()
    assert wrong == [], "no error on the page, no request beyond the server"


@pytest.fixture(scope="module")
def predicted(tab, recordings):
    """Settings by intent, after both files were dropped."""
    for side, path in zip(("input", "reference"), recordings, strict=True):
        drop(tab, f"#drop-{side}", path)
        until(tab, f"document.getElementById('{side}-name').textContent.includes('Hz')")
    found = {}
    for intent in ("balance", "style"):
        tab.click(f"[data-intent={intent}]")
        until(tab, f"styleStudio.found?.document.about.intent === '{intent}'")
        until(tab, "!document.getElementById('whole').disabled && styleStudio.page")
        tab.evaluate("() => styleStudio.done.then(() => styleStudio.page.ready)")
        found[intent] = tab.evaluate("styleStudio.found.document")
    return found


@pytest.fixture(scope="module")
def tool():
    return StyleTransfer()


@pytest.mark.parametrize("intent", ["style", "balance"])
def test_dropped_files_get_the_settings_of_the_command(predicted, tool, recordings, tmp_path, intent):
    source, reference = recordings
    done = tool.transfer(source, [reference], tmp_path / "out.wav", TransferOptions(intent=intent))
    ours, theirs = done.style.to_dict(), predicted[intent]
    assert [e["effect"] for e in theirs["effects"]] == [e["effect"] for e in ours["effects"]]
    for mine, page in zip(ours["effects"], theirs["effects"], strict=True):
        assert mine["config"] == page["config"]
        assert mine["units"] == page["units"]
        for name, value in mine["settings"].items():
            if name.endswith("_db"):
                assert page["settings"][name] == pytest.approx(value, abs=0.1), name
            else:
                assert page["settings"][name] == pytest.approx(value, rel=0.05), name
    assert theirs["output_gain_db"] == pytest.approx(ours["output_gain_db"], abs=0.1)
    hz = np.geomspace(30, 18000, 100)
    effect, page = done.style.chain.effects[0], theirs["effects"][0]["settings"]
    apart = effect.response_db(page, hz, 44100) - effect.response_db(ours["effects"][0]["settings"], hz, 44100)
    assert np.abs(apart).max() < 0.1, "the curve too"
    about, expected = theirs["about"], ours["about"]
    assert about["model"]["sha256"] == expected["model"]["sha256"]
    assert about["confidence"]["agreement"] == expected["confidence"]["agreement"]
    assert about["output"]["lufs"] == pytest.approx(expected["output"]["lufs"], abs=0.1)
    assert about["input"]["analysis_gain_db"] == pytest.approx(expected["input"]["analysis_gain_db"], abs=0.01)


def test_what_is_saved_renders_as_the_page_sounds(predicted, tab, recordings, tmp_path):
    """Settings by the tool's button are a settings file; the whole recording as WAV is what they render."""
    with tab.expect_download() as settings:
        tab.click("#save")
    settings.value.save_as(tmp_path / "saved.json")
    with tab.expect_download() as wav:
        tab.click("#whole")
    wav.value.save_as(tmp_path / "page.wav")
    style = load_settings(tmp_path / "saved.json")
    render_file(recordings[0], style, tmp_path / "ours.wav", loudness=Loudness(None, None))
    ours, page = (soundfile.read(tmp_path / f"{n}.wav")[0] for n in ("ours", "page"))
    assert ours.shape == page.shape
    assert 10 * np.log10(np.mean((ours - page) ** 2) / np.mean(ours**2)) < -100


def test_another_part_is_heard_with_the_same_edits(predicted, tab):
    tab.evaluate("styleStudio.page.edits.edit('test', (state) => { state.outputGainDb = -7; })")
    before = tab.evaluate("Array.from(styleStudio.page.tracks.input[0].slice(0, 50))")
    tab.evaluate("""() => { const part = document.getElementById('part'); part.max = 3; part.value = 1.5;
                           part.dispatchEvent(new Event('input')); part.dispatchEvent(new Event('change')); }""")
    tab.evaluate("() => styleStudio.page.ready")
    until(tab, "styleStudio.page.state.outputGainDb === -7")
    assert tab.evaluate("Array.from(styleStudio.page.tracks.input[0].slice(0, 50))") != before
    assert tab.inner_text("#part-time") == "from 0:01"


@pytest.mark.parametrize(
    ("name", "content", "said"), [("notes.wav", b"no audio at all, " * 9, "cannot be decoded"), ("empty.wav", b"", "is empty")]
)
def test_a_file_that_is_no_recording_is_a_sentence(browser, address, tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    context, tab, _ = opened(browser, address)
    tab.evaluate("() => styleStudio.ready")
    drop(tab, "#drop-input", tmp_path / name)
    tab.wait_for_selector("#progress.wrong")
    assert name in tab.inner_text("#progress")
    assert said in tab.inner_text("#progress")
    context.close()


def test_silence_is_a_sentence(browser, address, recordings, tmp_path):
    soundfile.write(tmp_path / "silence.wav", np.zeros(44100), 44100)
    context, tab, _ = opened(browser, address)
    tab.evaluate("() => styleStudio.ready")
    drop(tab, "#drop-reference", recordings[1])
    until(tab, "document.getElementById('reference-name').textContent.includes('Hz')")
    drop(tab, "#drop-input", tmp_path / "silence.wav")
    tab.wait_for_selector("#progress.wrong")
    assert tab.inner_text("#progress") == "silence.wav is silent; give a recording with sound"
    context.close()


def test_on_a_phone_nothing_is_wider_than_the_screen(browser, address):
    context, tab, _ = opened(browser, address, viewport=(390, 844), is_mobile=True, has_touch=True)
    tab.evaluate("() => styleStudio.ready")
    assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert json.loads(tab.evaluate("JSON.stringify([...document.querySelectorAll('[data-intent]')].map((b) => b.textContent))"))
    context.close()
