"""The report in a real headless Chromium: no errors, players play, tables sort, it fits a phone and the dark."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.corpus.view import CorpusView
from pipelines.look.report import make_report
from tests.support.browser import running_browser
from tests.support.builds import manifest_for, run_build, write_sources


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    run_build(manifest_for(write_sources(folder / "voices"), folder / "corpus"), executor="direct")
    path = folder / "report.html"
    path.write_text(make_report(CorpusView(str(folder / "corpus")), samples=2), encoding="utf-8")
    return path


@pytest.fixture
def browser():
    with running_browser() as running:
        yield running


def test_the_report_works_in_a_browser(browser, report):
    page = browser.new_page(viewport={"width": 1100, "height": 900})
    problems, requests = [], []
    page.on("console", lambda m: problems.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda e: problems.append(str(e)))
    page.on("request", lambda r: requests.append(r.url))
    page.goto(report.as_uri())

    played = page.evaluate(
        """async () => {
          const player = document.querySelector("audio");
          await player.play();
          for (let i = 0; i < 200 && player.currentTime === 0; i++) await new Promise(done => setTimeout(done, 50));
          return [player.currentTime, player.duration, player.error && player.error.message];
        }"""
    )
    assert played[0] > 0
    assert played[1] == pytest.approx(8192 / 12000, abs=0.05)
    assert played[2] is None
    assert page.evaluate("[...document.querySelectorAll('image')].every(i => i.getBBox().width > 0)")

    table = page.locator("table.sort").first
    column = table.locator("thead th").nth(2)
    table.locator("thead button").nth(2).click()
    values = [float(v) for v in table.locator("tbody tr td:nth-child(3)").evaluate_all("c => c.map(x => x.dataset.v)")]
    assert values == sorted(values)
    assert column.get_attribute("aria-sort") == "ascending"
    table.locator("thead button").nth(2).press("Enter")
    values = [float(v) for v in table.locator("tbody tr td:nth-child(3)").evaluate_all("c => c.map(x => x.dataset.v)")]
    assert values == sorted(values, reverse=True)

    assert problems == []
    assert [r for r in requests if not r.startswith(("file:", "data:"))] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_report_fits_a_phone_and_keeps_contrast(browser, report, scheme):
    page = browser.new_page(viewport={"width": 390, "height": 800}, color_scheme=scheme)
    page.goto(report.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    narrow = "(c) => c.textContent.length > 8 && c.offsetHeight > 24 * Math.ceil(c.textContent.length / 8)"
    assert page.evaluate(f"[...document.querySelectorAll('td')].filter({narrow}).length") == 0, "no letter-by-letter tables"
    smallest = """Math.min(...[...document.querySelectorAll('svg text')].filter((t) => t.ownerSVGElement.clientWidth).map((t) => {
        const svg = t.ownerSVGElement, shrunk = svg.clientWidth / svg.viewBox.baseVal.width;
        return parseFloat(getComputedStyle(t).fontSize) * shrunk; }))"""
    assert page.evaluate(smallest) >= 11
    text, background = page.evaluate(
        """() => [getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]
             .map(c => c.match(/[0-9]+/g).slice(0, 3).map(Number))"""
    )

    def luminance(rgb):
        linear = [(v / 255 / 12.92) if v / 255 <= 0.04045 else ((v / 255 + 0.055) / 1.055) ** 2.4 for v in rgb]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dim = sorted((luminance(text), luminance(background)), reverse=True)
    assert (light + 0.05) / (dim + 0.05) >= 7  # WCAG 2 AAA
    assert (luminance(background) > 0.5) == (scheme == "light")
