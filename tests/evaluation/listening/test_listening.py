"""The listening page is blind, fair and usable: driven in a real browser by keyboard, mouse and on a phone's screen."""

from __future__ import annotations

import base64
import csv
import io
import json
import re

import numpy as np
import pytest
import soundfile

from stylefx.audio.loudness import integrated_lufs
from stylefx.corpus.reader import open_corpus
from stylefx.evaluation.job import EvaluationJob
from stylefx.evaluation.listening.build import KEY, PAGE, page_text, write_listening
from stylefx.evaluation.listening.trials import ANCHOR, HIDDEN, Stimulus, Trial, low_passed, make_trials
from stylefx.evaluation.systems.base import ModelSystem
from tests.support.browser import running_browser, tap_until
from tests.support.truth_corpus import make_truth_corpus, untrained_model

pytestmark = pytest.mark.xdist_group("browser")
RATE = 24000


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    corpus = open_corpus(make_truth_corpus(tmp_path_factory.mktemp("dry"), {"test": 6}, half_frames=32768, dry=True))
    return EvaluationJob(ModelSystem(untrained_model()), corpus, items=3, baselines=("rule-based",))


@pytest.fixture(scope="module")
def folder(job, tmp_path_factory):
    path = tmp_path_factory.mktemp("listening")
    assert [p.name for p in write_listening(job, path)] == [PAGE, KEY]
    return path


def document(folder) -> dict:
    text = (folder / PAGE).read_text(encoding="utf-8")
    return json.loads(re.search(r'<script id="data" type="application/json">(.*?)</script>', text, re.S)[1])


def decoded(address: str) -> np.ndarray:
    audio, rate = soundfile.read(io.BytesIO(base64.b64decode(address.split(",")[1])), always_2d=True)
    assert rate == RATE
    return audio.T


@pytest.fixture(scope="module")
def browser():
    with running_browser() as running:
        yield running


@pytest.fixture
def page(browser, folder):
    """The page; errors on it and requests beyond it fail the test."""
    context = browser.new_context(accept_downloads=True)
    tab, problems = context.new_page(), []
    tab.on("pageerror", lambda error: problems.append(str(error)))
    tab.on("request", lambda r: None if r.url.startswith(("file:", "data:", "blob:")) else problems.append(r.url))
    tab.goto((folder / PAGE).as_uri())
    yield tab
    context.close()
    assert problems == []


def test_the_page_names_no_system_and_the_key_names_all(folder):
    text = re.sub(r"base64,[^\"]*", "", json.dumps(document(folder)))
    for name in ("model", "rule-based", "hidden", "anchor", "input"):
        assert name not in text
    rows = list(csv.DictReader(io.StringIO((folder / KEY).read_text())))
    assert len(rows) == 3 * 5
    assert {r["system"] for r in rows} == {HIDDEN, ANCHOR, "input", "rule-based", "model"}
    shown = [(t["name"], s["id"]) for t in document(folder)["trials"] for s in t["stimuli"]]
    assert [(r["trial"], r["stimulus"]) for r in rows] == shown
    orders = {tuple(r["system"] for r in rows[i : i + 5]) for i in range(0, 15, 5)}
    assert len(orders) > 1


def test_all_sounds_of_a_trial_are_equally_loud_and_the_hidden_reference_is_the_reference(folder):
    rows = list(csv.DictReader(io.StringIO((folder / KEY).read_text())))
    system = {(r["trial"], r["stimulus"]): r["system"] for r in rows}
    for trial in document(folder)["trials"]:
        sounds = {system[trial["name"], s["id"]]: decoded(s["audio"]) for s in trial["stimuli"]}
        assert np.array_equal(sounds[HIDDEN], decoded(trial["reference"]))
        levels = [integrated_lufs(x.astype(np.float32), RATE) for x in sounds.values()]
        assert max(levels) - min(levels) < 0.2  # the fades cost a little


def test_the_anchor_has_nothing_above_four_kilohertz():
    noise = np.random.default_rng(0).standard_normal((1, 2 * RATE))
    window = np.hanning(2 * RATE)
    power = np.abs(np.fft.rfft(window * low_passed(noise, RATE)[0])) ** 2
    hz = np.fft.rfftfreq(2 * RATE, 1 / RATE)
    plain = np.abs(np.fft.rfft(window * noise[0])) ** 2
    assert 10 * np.log10(power[hz > 4050].sum() / plain[hz > 4050].sum()) < -60
    assert abs(10 * np.log10(power[hz < 3400].sum() / plain[hz < 3400].sum())) < 0.1


def test_the_same_seed_makes_the_same_test_and_another_another(job, folder):
    again = make_trials(job)
    assert [[s.identity for s in t.stimuli] for t in again] == [
        [s["id"] for s in t["stimuli"]] for t in document(folder)["trials"]
    ]
    other = make_trials(EvaluationJob(job.model, job.corpus, items=3, seed=1))
    assert {s.identity for t in other for s in t.stimuli}.isdisjoint(s.identity for t in again for s in t.stimuli)


def test_names_cannot_break_out_of_the_page():
    silent = np.zeros((1, 2400), np.float32)
    bad = "</script><img src=x onerror=alert(1)>@@SCRIPT@@"
    text = page_text([Trial(bad, bad, RATE, silent, (Stimulus("ab", "x", silent),))], "s")
    assert "<img" not in text
    assert text.count("</script>") == 2


def test_a_listener_rates_by_keyboard_and_takes_the_answers_away(page, folder):
    page.keyboard.press("1")
    page.wait_for_function("document.getElementById('play').textContent === 'Pause'")
    assert page.get_by_role("button", name="Sound 1").get_attribute("aria-pressed") == "true"
    page.keyboard.press("0")
    assert page.get_by_role("button", name="Reference").get_attribute("aria-pressed") == "true"
    for i in range(5):
        slider = page.get_by_role("slider", name=f"Rating of sound {i + 1}")
        slider.focus()
        for _ in range(i + 1):
            page.keyboard.press("ArrowRight")
    assert page.get_by_role("status").inner_text() == "5 of 15 sounds rated"
    page.get_by_label("Listener").fill('=1+1,"x"')
    page.get_by_role("button", name="Next").click()
    assert page.locator("h1").inner_text().startswith("Trial 2 of 3")
    page.get_by_role("button", name="Back").click()
    assert page.get_by_role("slider", name="Rating of sound 3").input_value() == "53"
    with page.expect_download() as download:
        page.get_by_role("button", name="Save answers (CSV)").click()
    rows = list(csv.DictReader(io.StringIO(download.value.path().read_text())))
    trial = document(folder)["trials"][0]
    assert [(r["trial"], r["stimulus"], int(r["score"])) for r in rows] == [
        (trial["name"], s["id"], 51 + i) for i, s in enumerate(trial["stimuli"])
    ]
    assert {r["listener"] for r in rows} == {'\'=1+1,"x"'}
    assert float(rows[0]["heard_s"]) >= 0


def test_it_fits_a_phone(browser, folder):
    context = browser.new_context(viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    tab = context.new_page()
    tab.goto((folder / PAGE).as_uri())
    assert tab.evaluate("document.documentElement.scrollWidth") <= 360
    sizes = tab.evaluate("[...document.querySelectorAll('button, input')].map((e) => e.getBoundingClientRect().height)")
    assert min(sizes) >= 40
    tap_until(tab, "button:has-text('Sound 2')", "document.getElementById('play').textContent === 'Pause'")
    context.close()
