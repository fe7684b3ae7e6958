"""The page in a real browser: its DSP is ours, it plays, switches, draws, saves, and needs neither network nor mouse."""

import json
import re

import numpy as np
import pyloudnorm
import pytest
import soundfile

from stylefx.effects.chain import EffectChain
from stylefx.effects.presets import deepafx_st_chain
from stylefx.effects.registry import make_effect
from stylefx.errors import UserError
from stylefx.inference.meter import Meter
from stylefx.inference.page.build import write_page
from stylefx.inference.settings_file import StyleSettings, load_settings
from tests.conftest import require_program
from tests.inference.conftest import speech_like, write

pytestmark = pytest.mark.xdist_group("browser")
RATE = 24000
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--disable-default-apps", "--no-first-run", "--autoplay-policy=no-user-gesture-required"]  # fmt: skip


def style() -> StyleSettings:
    chain = deepafx_st_chain()
    settings = chain.complete(None)
    settings[0]["settings"].update(
        low_shelf_gain_db=6.0, band1_gain_db=-5.0, band3_gain_db=4.0, band3_q=2.0, high_shelf_gain_db=7.0
    )
    settings[1]["settings"].update(threshold_db=-34.0, ratio=5.0, attack_ms=4.0, release_ms=90.0, makeup_gain_db=6.0)
    return StyleSettings.of(chain, settings, sample_rate=float(RATE), output_gain_db=-2.5)


@pytest.fixture(scope="module")
def browser():
    program = require_program("chromium", "apt-get install chromium")
    api = pytest.importorskip("playwright.sync_api")
    with api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield running
        running.close()


@pytest.fixture(scope="module")
def html(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    source = write(folder / "take <1>.wav", speech_like(2, RATE, seed=1, channels=2), RATE)
    reference = write(folder / "reference.wav", 0.5 * speech_like(1, 44100, seed=2), 44100)
    write_page(folder / "page.html", style(), source, [reference])
    return folder / "page.html"


@pytest.fixture
def page(browser, html):
    """The page when it is ready; errors on it and requests beyond it fail the test."""
    context = browser.new_context(accept_downloads=True, viewport={"width": 1280, "height": 900})
    tab = context.new_page()
    wrong: list[str] = []
    tab.on("pageerror", lambda error: wrong.append(str(error)))
    tab.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    tab.on("request", lambda request: None if re.match("file:|blob:|data:", request.url) else wrong.append(request.url))
    tab.goto(html.as_uri())
    tab.evaluate("() => stylePage.ready")
    yield tab
    context.close()
    assert wrong == []


def difference_db(a: np.ndarray, b: np.ndarray) -> float:
    return 10 * np.log10(np.mean((a - b) ** 2.0) / np.mean(np.square(b, dtype=float)))


def tracks(page, name: str) -> np.ndarray:
    return np.array(page.evaluate("(name) => stylePage.tracks[name].map((x) => Array.from(x))", name), np.float32)


def test_the_worklet_renders_what_we_render(page):
    """Through the AudioWorklet itself, 128 samples at a time, on the excerpt that the page carries."""
    audio = tracks(page, "input")
    assert difference_db(audio, speech_like(2, RATE, seed=1, channels=2)) < -60, "the excerpt is the recording, in 16 bits"
    out = np.array(page.evaluate("async () => (await stylePage.renderThroughWorklet()).map((x) => Array.from(x))"))
    expected = style().chain.render(audio, style().settings, RATE) * 10 ** (-2.5 / 20)
    assert difference_db(out, expected) < -120


@pytest.mark.parametrize("seed", range(4))
def test_the_javascript_effects_are_ours_at_any_settings_and_rate(page, seed):
    rng = np.random.default_rng(seed)
    rate, chain = [8000, 22050, 44100, 96000][seed], deepafx_st_chain("full-band")
    settings = chain.settings(rng.uniform(0, 1, chain.num_controls))
    settings[1]["settings"]["knee_db"] = [0.0, 12.0, 3.0, 6.0][seed]
    audio = speech_like(0.2, rate, seed=seed + 1, channels=2)
    effects = [{"effect": e["effect"], "settings": e["settings"]} for e in settings]
    effects[0]["bands"] = [{"name": name, "kind": kind} for name, kind, *_ in chain.effects[0].bands]
    out = page.evaluate(
        """([effects, audio, rate]) => {
            const chain = StyleDsp.chain(effects, 0, rate, audio.length), n = audio[0].length, out = audio.map(() => []);
            for (let start = 0; start < n; start += 777) {
                const block = audio.map((x) => Float64Array.from(x.slice(start, start + 777)));
                chain.process(block);
                block.forEach((x, c) => out[c].push(...x));
            }
            return out;
        }""",
        [effects, audio.tolist(), rate],
    )
    assert difference_db(np.array(out), chain.render(audio, settings, rate)) < -120


def test_curves_on_the_page_are_those_of_the_effects(page):
    chain, settings = style().chain, style().settings
    freqs = np.array(page.evaluate("stylePage.freqs"))
    drawn = page.evaluate(
        """() => { const e = stylePage.state.effects[0], list = StyleDsp.sections(e.bands, e.settings, 24000);
                   return stylePage.freqs.map((f) => StyleDsp.responseDb(list, f, 24000)); }"""
    )
    np.testing.assert_allclose(drawn, chain.effects[0].response_db(settings[0]["settings"], freqs, RATE), atol=1e-6)
    levels = np.linspace(-80, 0, 50)
    reduction = page.evaluate(
        "(levels) => levels.map((x) => StyleDsp.reductionDb(x, stylePage.state.effects[1].settings))", levels.tolist()
    )
    curve = chain.effects[1].static_curve_db(settings[1]["settings"], levels)
    np.testing.assert_allclose(levels - np.array(reduction) + 6.0, curve, atol=1e-9)


@pytest.mark.parametrize("name", ["input", "reference"])
def test_meters_on_the_page_agree_with_references(page, name):
    audio, shown = tracks(page, name), page.evaluate("(name) => stylePage.levels[name]", name)
    assert shown["lufs"] == pytest.approx(pyloudnorm.Meter(RATE).integrated_loudness(audio.T.astype(float)), abs=0.01)
    meter = Meter(RATE, audio.shape[0])
    meter(audio)
    assert shown["peak"] == pytest.approx(meter.reading().true_peak_dbtp, abs=1e-4)


def test_switching_keeps_the_position_and_matches_the_loudness(page):
    page.click("#play")
    page.wait_for_function("stylePage.player.position > 0.15")
    seen = []
    for key, name in (("1", "input"), ("3", "reference"), ("2", "output")):
        before = page.evaluate("stylePage.player.position")
        page.keyboard.press(key)
        page.wait_for_function("(n) => stylePage.player.nodes[n].gain.value > 0.8 * stylePage.player.gains[n]", arg=name)
        seen.append(page.evaluate("stylePage.player.position") - before)
        assert page.get_attribute(f"[data-track={name}]", "aria-checked") == "true"
    assert all(step % 2 < 1.0 for step in seen), seen
    gains, levels = page.evaluate("[stylePage.player.gains, stylePage.levels]")
    loudness = [levels[n]["lufs"] + 20 * np.log10(gains[n]) for n in levels]
    assert max(loudness) - min(loudness) < 1e-6
    assert max(levels[n]["peak"] + 20 * np.log10(gains[n]) for n in levels) == pytest.approx(-1.0, abs=1e-6)
    page.click("#play")
    assert not page.evaluate("stylePage.player.playing")


def test_everything_works_from_the_keyboard(page):
    page.locator("body").press(" ")
    page.wait_for_function("stylePage.player.playing")
    page.locator("body").press(" ")
    assert not page.evaluate("stylePage.player.playing")
    start = page.evaluate("stylePage.player.position")
    page.locator("body").press("ArrowRight")
    assert page.evaluate("stylePage.player.position") == pytest.approx((start + 1) % 2, abs=1e-6)
    reached = set()
    for _ in range(45):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.getAttribute('aria-label')"))
    assert {"play", "seek", "match", "reset", "bypass", "save", "threshold", "low shelf gain", "output gain"} <= reached
    page.focus("[aria-label=threshold]")
    before = page.evaluate("stylePage.state.effects[1].settings.threshold_db")
    page.keyboard.press("ArrowLeft")
    assert page.evaluate("stylePage.state.effects[1].settings.threshold_db") < before
    named = "(e) => e.ariaLabel || e.textContent || e.labels?.length"
    unnamed = f"[...document.querySelectorAll('input, button')].filter((e) => !({named})(e)).length"
    assert page.evaluate(unnamed) == 0


def move(page, label: str, value: float) -> None:
    page.eval_on_selector(f"[aria-label='{label}']", f"(e) => {{ e.value = {value}; e.dispatchEvent(new Event('input')); }}")


def test_sliders_render_again_and_pictures_follow(page):
    before = page.evaluate("[stylePage.levels.output.lufs, document.querySelector('#eq .output').getAttribute('d')]")
    move(page, "band2 gain", 0.95)
    page.wait_for_function("(old) => document.querySelector('#eq .output').getAttribute('d') !== old", arg=before[1])
    assert page.evaluate("stylePage.levels.output.lufs") > before[0] + 0.5
    assert page.locator("tr.changed").count() == 1
    page.click("#bypass")
    page.wait_for_function("Math.max(...stylePage.state.reduction) === 0")
    page.click("#reset")
    page.wait_for_function(f"Math.abs(stylePage.levels.output.lufs - {before[0]}) < 1e-9")
    assert page.locator("tr.changed").count() == 0


def test_saved_settings_are_a_settings_file(page, tmp_path):
    move(page, "threshold", 0.25)
    move(page, "output gain", 0.5)
    with page.expect_download() as download:
        page.click("#save")
    download.value.save_as(tmp_path / "saved.json")
    saved = load_settings(tmp_path / "saved.json")
    assert saved.settings[1]["settings"]["threshold_db"] == pytest.approx(-60.0)
    assert saved.output_gain_db == pytest.approx(0.0)
    assert saved.settings[0] == style().settings[0]
    assert json.loads((tmp_path / "saved.json").read_text())["about"]["edited_in_page"] is True


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 400)])
def test_it_reads_in_light_and_dark_and_on_a_small_screen(browser, html, scheme, width):
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 900})
    page = context.new_page()
    page.goto(html.as_uri())
    page.evaluate("() => stylePage.ready")
    colours = page.evaluate("[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]")
    paper, ink = (np.mean([int(v) for v in re.findall(r"\d+", c)[:3]]) for c in colours)
    assert abs(paper - ink) > 180
    assert (paper < ink) == (scheme == "dark")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.title() == "take <1>.wav in the style of reference.wav"
    context.close()


def test_effects_that_a_browser_does_not_render_are_refused(tmp_path):
    other = StyleSettings.of(EffectChain.of(make_effect("expander")), None)
    source = write(tmp_path / "a.wav", speech_like(1, RATE), RATE)
    with pytest.raises(UserError, match="expander"):
        write_page(tmp_path / "p.html", other, source, [source])
    assert not (tmp_path / "p.html").exists()


def test_excerpts_above_full_scale_come_back_at_their_level(browser, tmp_path):
    loud = 1.9 * speech_like(1, RATE, seed=1)
    loud *= 1.6 / np.abs(loud).max()
    source = write(tmp_path / "loud.wav", loud, RATE)
    write_page(tmp_path / "p.html", style(), source, [source])
    page = browser.new_page()
    page.goto((tmp_path / "p.html").as_uri())
    page.evaluate("() => stylePage.ready")
    assert np.abs(tracks(page, "input")).max() == pytest.approx(1.6, rel=1e-3)
    page.close()


def test_the_command_writes_the_page(tmp_path, command, checkpoint):
    source = write(tmp_path / "a.wav", speech_like(2, RATE), RATE)
    page = tmp_path / "p.html"
    assert command("transfer", source, source, "-o", tmp_path / "o.wav", "--model", checkpoint, "--page", page)[0] == 0
    text = page.read_text()
    assert "{{" not in text
    assert not re.search(r"(src|href)=\"(?!data:)", text)
    assert soundfile.info(tmp_path / "o.wav").frames == 2 * RATE
