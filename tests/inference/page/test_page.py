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
from stylefx.inference.hearing.levels import scale_intensity
from stylefx.inference.page.build import write_page
from stylefx.inference.rendering.meter import Meter
from stylefx.inference.settings_file import StyleSettings, load_settings
from tests.inference.conftest import speech_like, write
from tests.inference.page.conftest import RATE, style
from tests.support.browser import tap_until

pytestmark = pytest.mark.xdist_group("browser")


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
    standard = pyloudnorm.Meter(RATE, filter_class="DeMan")
    whole = audio[:, : audio.shape[1] * 10 // RATE * RATE // 10]
    assert shown["lufs"] == pytest.approx(standard.integrated_loudness(whole.T.astype(float)), abs=0.001)
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
    for _ in range(120):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.getAttribute('aria-label')"))
    assert {
        "play",
        "seek",
        "match",
        "bypass",
        "blind",
        "clip",
        "reset",
        "save",
        "save-equalizer-apo",
        "band 1",
        "band 6",
        "bypass compressor",
        "amount of compressor",
        "threshold",
        "threshold, typed",
        "output gain",
    } <= reached
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
    page.wait_for_function(f"stylePage.levels.output.lufs > {before[0]} + 0.5")
    assert page.locator(".setting.changed").count() == 1
    page.click("#bypass")
    page.wait_for_function("Math.max(...stylePage.view.reduction) === 0")
    page.click("#reset")
    page.wait_for_function(f"Math.abs(stylePage.levels.output.lufs - {before[0]}) < 1e-9")
    assert page.locator(".setting.changed").count() == 0


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


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 390)])
def test_it_reads_in_light_and_dark_and_on_a_small_screen(browser, html, scheme, width):
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 800})
    page = context.new_page()
    page.goto(html.as_uri())
    page.evaluate("() => stylePage.ready")
    colours = page.evaluate("[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]")
    paper, ink = (np.mean([int(v) for v in re.findall(r"\d+", c)[:3]]) for c in colours)
    assert abs(paper - ink) > 180
    assert (paper < ink) == (scheme == "dark")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    cut = "(e) => e.scrollWidth > e.clientWidth + 1 || e.getBoundingClientRect().right > innerWidth"
    assert page.evaluate(f"[...document.querySelectorAll('table, .setting, section')].filter({cut}).length") == 0
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    assert page.evaluate("document.querySelector('.transport').getBoundingClientRect().top") == pytest.approx(0, abs=1)
    assert page.evaluate("document.querySelector('.transport').offsetHeight") < 260
    smallest = """Math.min(...[...document.querySelectorAll('svg text')].map((t) => {
        const svg = t.ownerSVGElement, shrunk = svg.clientWidth / svg.viewBox.baseVal.width;
        return parseFloat(getComputedStyle(t).fontSize) * shrunk; }))"""
    assert page.evaluate(smallest) >= 11
    assert page.title() == "take <1>.wav in the style of reference.wav"
    context.close()


def test_names_that_are_markup_reach_the_page_as_names(browser, tmp_path):
    name = "<!--<script>.wav"
    source = write(tmp_path / name, speech_like(1, RATE, seed=1), RATE)
    write_page(tmp_path / "p.html", style(), source, [source])
    page = browser.new_page()
    page.goto((tmp_path / "p.html").as_uri())
    page.evaluate("() => stylePage.ready")
    assert page.title() == f"{name} in the style of {name}"
    assert name in page.inner_text("#about")
    page.close()


def point(page, band: int) -> tuple[float, float]:
    box = page.locator(f"[aria-label='band {band}'] .point").bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_points_on_the_curve_are_dragged_typed_and_undone(page):
    gain = "stylePage.state.effects[0].settings.band2_gain_db"
    page.locator("#eq").scroll_into_view_if_needed()
    x, y = point(page, 3)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 30, y - 40, steps=4)
    page.mouse.up()
    assert page.evaluate(gain) > 2
    assert (
        page.evaluate("stylePage.state.effects[0].settings.band2_cutoff_hz") > style().settings[0]["settings"]["band2_cutoff_hz"]
    )
    assert "3 band2" in page.inner_text("#eq-readout")
    found = point(page, 3)
    assert found == pytest.approx((x + 30, y - 40), abs=1.5), "the point lies under the pointer"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("]")
    assert page.evaluate("stylePage.state.effects[0].settings.band2_q") == pytest.approx(0.7777, abs=1e-3)
    for _ in range(3):
        page.keyboard.press("Control+z")
    assert page.evaluate(gain) == 0.0
    page.keyboard.press("Control+Shift+z")
    assert page.evaluate(gain) != 0.0
    page.mouse.dblclick(*point(page, 3))
    assert page.evaluate(gain) == 0.0
    page.fill("[aria-label='band2 gain, typed']", "7.5")
    page.keyboard.press("Enter")
    assert page.evaluate(gain) == 7.5
    page.fill("[aria-label='band2 gain, typed']", "99")
    page.keyboard.press("Enter")
    assert page.evaluate(gain) == 24.0
    assert "set to 24" in page.inner_text("#status")
    page.dblclick(".setting.changed .name")
    assert page.locator(".setting.changed").count() == 0


def test_amount_and_bypass_of_an_effect_are_heard(page):
    move(page, "amount of compressor", 0.0)
    heard = page.evaluate("stylePage.edits.heard().effects[1].settings")
    assert (heard["ratio"], heard["makeup_gain_db"], heard["threshold_db"]) == (1.0, 0.0, -34.0)
    half = scale_intensity(style().chain, style().settings, 0.5)
    for name in ("compressor", "parametric eq"):
        page.fill(f"[aria-label='amount of {name}, typed']", "0.5")
        page.keyboard.press("Enter")
    for entry, wanted in zip(page.evaluate("stylePage.edits.heard().effects"), half, strict=True):
        assert entry["settings"] == pytest.approx(wanted["settings"])
    page.click("[aria-label='bypass compressor']")
    page.wait_for_function("Math.max(...stylePage.view.reduction) === 0")
    page.click("#bypass")
    page.wait_for_timeout(200)
    page.wait_for_function("stylePage.view.rendered[0].every((v, i) => Math.abs(v - stylePage.tracks.input[0][i]) < 1e-7)")


def test_space_plays_everywhere_and_presses_nothing(page):
    for label in (
        "#bypass",
        "[aria-label=threshold]",
        "[aria-label='threshold, typed']",
        "[aria-label='band 2']",
        "#seek",
        "#play",
    ):
        page.focus(label)
        before = page.evaluate("stylePage.player.playing")
        page.keyboard.press(" ")
        page.wait_for_function("(old) => stylePage.player.playing !== old", arg=before)
    assert page.get_attribute("#bypass", "aria-pressed") == "false"


def test_the_clip_light_says_how_far_above_full_scale(page):
    assert "lit" not in (page.get_attribute("#clip", "class") or "")
    move(page, "output gain", 1.0)
    page.wait_for_function("document.getElementById('clip').classList.contains('lit')")
    peak = page.evaluate("stylePage.levels.output.peak")
    assert peak > 10
    assert page.inner_text("#clip") == f"CLIP {peak:.1f}"
    page.click("#play")
    page.wait_for_function("parseFloat(document.getElementById('level-in').textContent) < 0")
    page.wait_for_function("parseFloat(document.getElementById('level-out').textContent) > 0")
    page.click("#play")


def test_the_waveform_seeks_and_shows_the_place(page):
    box = page.locator("#wave").bounding_box()
    page.mouse.click(box["x"] + 0.75 * box["width"], box["y"] + 10)
    assert page.evaluate("stylePage.player.position") == pytest.approx(1.5, abs=0.02)
    page.wait_for_function(
        "Math.abs(document.querySelector('.playhead').getAttribute('x1') / stylePage.view.waveWidth() - 0.75) < 0.01"
    )


def test_the_blind_test_hides_what_is_heard_and_counts(page):
    page.click("#blind")
    for _ in range(4):
        truth = page.evaluate("stylePage.blind.truth")
        page.locator("body").press("b")
        assert page.evaluate("stylePage.player.selected") == truth["b"]
        assert page.evaluate("getComputedStyle(document.querySelector('[data-track=output]')).visibility") == "hidden"
        page.click("#blind-is-a" if truth["a"] == "output" else "#blind-is-b")
    assert "4 of 4 right" in page.inner_text("#status")
    page.select_option("#blind-pair", "output reference")
    assert sorted(page.evaluate("Object.values(stylePage.blind.truth)")) == ["output", "reference"]
    assert page.inner_text("#blind-is-a") == "A is the output"
    page.select_option("#blind-pair", "input reference")
    truth = page.evaluate("stylePage.blind.truth")
    page.click("#blind-is-a" if truth["b"] == "input" else "#blind-is-b")
    assert "0 of 1 right" in page.inner_text("#status")
    page.click("#blind")
    assert page.evaluate("stylePage.player.selected") == "output"


def test_gains_after_the_chain_and_clamped_values_are_shown(browser, tmp_path):
    wanted = style()
    wanted.settings[0]["settings"]["high_shelf_cutoff_hz"] = 30000.0
    wanted = wanted.with_gain(-3.0, gains={"true_peak_guard_db": -2.25, "loudness_match_db": 1.5})
    source = write(tmp_path / "a.wav", speech_like(1, RATE, seed=1), RATE)
    write_page(tmp_path / "p.html", wanted, source, [source])
    page = browser.new_page()
    page.goto((tmp_path / "p.html").as_uri())
    page.evaluate("() => stylePage.ready")
    shown = page.inner_text("#facts")
    for words in ("true-peak guard took -2.25 dB", "loudness match is +1.50 dB", "30000 Hz was asked, 21600 Hz is rendered"):
        assert words in shown
    page.close()


def test_a_limiter_is_ours_and_stays_in_step(browser, tmp_path):
    chain = EffectChain.of(make_effect("compressor"), make_effect("limiter", lookahead_ms=4.0))
    settings = chain.complete([
        {"effect": "compressor", "settings": {"threshold_db": -30.0, "ratio": 3.0, "makeup_gain_db": 12.0}},
        {"effect": "limiter", "settings": {"ceiling_db": -3.0, "release_ms": 40.0}},
    ])  # fmt: skip
    source = write(tmp_path / "a.wav", 1.5 * speech_like(1, RATE, seed=1, channels=2), RATE)
    write_page(tmp_path / "p.html", StyleSettings.of(chain, settings, sample_rate=float(RATE)), source, [source])
    page = browser.new_page()
    page.goto((tmp_path / "p.html").as_uri())
    page.evaluate("() => stylePage.ready")
    expected = chain.render(tracks(page, "input"), settings, RATE)
    out = np.array(page.evaluate("async () => (await stylePage.renderThroughWorklet()).map((x) => Array.from(x))"))
    shown = np.array(page.evaluate("stylePage.view.rendered.map((x) => Array.from(x))"))
    assert difference_db(out, expected) < -120
    assert difference_db(shown, expected) < -120
    page.close()


def test_exports_from_the_page_are_what_is_heard(page, tmp_path):
    move(page, "band1 gain", 0.75)
    page.wait_for_timeout(300)
    for button, name in (("#save-wav", "e.wav"), ("#save-equalizer-apo", "e.txt")):
        with page.expect_download() as download:
            page.click(button)
        download.value.save_as(tmp_path / name)
    heard = np.array(page.evaluate("stylePage.view.rendered.map((x) => Array.from(x))"))
    written, rate = soundfile.read(tmp_path / "e.wav", always_2d=True)
    assert rate == RATE
    assert np.abs(written.T - np.clip(heard, -1, 1)).max() < 2**-23
    assert "ON PK Fc 632.455532 Hz Gain 12 dB Q 0.707" in (tmp_path / "e.txt").read_text()


def test_a_finger_drags_a_point_on_a_phone(browser, html):
    context = browser.new_context(viewport={"width": 390, "height": 800}, has_touch=True, is_mobile=True)
    page = context.new_page()
    page.goto(html.as_uri())
    page.evaluate("() => stylePage.ready")
    page.locator("#eq").scroll_into_view_if_needed()
    before, (x, y) = page.evaluate("stylePage.state.effects[0].settings.band2_gain_db"), point(page, 3)
    client = context.new_cdp_session(page)
    for kind, places in (
        ("touchStart", [(x, y)]),
        ("touchMove", [(x, y - 30)]),
        ("touchMove", [(x + 5, y - 60)]),
        ("touchEnd", []),
    ):
        client.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": a, "y": b} for a, b in places]})
    assert page.evaluate("stylePage.state.effects[0].settings.band2_gain_db") > before + 3
    tap_until(page, "#play", "stylePage.player.playing")
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
