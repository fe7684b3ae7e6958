"""A page of a transfer in Chromium; errors on it and requests beyond it fail the test."""

import re

import pytest

from stylefx.effects.presets import deepafx_st_chain
from stylefx.inference.page.build import write_page
from stylefx.inference.settings_file import StyleSettings
from tests.inference.conftest import speech_like, write
from tests.support.browser import running_browser

RATE = 24000


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
    with running_browser() as running:
        yield running


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
