"""A browser, two recordings, and the studio behind its own server."""

from __future__ import annotations

import re
import threading
import time

import numpy as np
import pytest
import soundfile

from stylefx.studio.serve import files_answer, make_server
from stylefx.studio.site import site_files
from tests.inference.conftest import speech_like
from tests.support.browser import running_browser


@pytest.fixture(scope="session")
def browser():
    with running_browser() as running:
        yield running


@pytest.fixture(scope="session")
def recordings(tmp_path_factory):
    """(recording, reference): stereo of 24 bits at 44.1 kHz; mono FLAC at 48 kHz, darker and denser."""
    folder = tmp_path_factory.mktemp("recordings")
    soundfile.write(folder / "take <1>.wav", speech_like(8, 44100, seed=1, channels=2).T, 44100, subtype="PCM_24")
    dark = speech_like(7, 48000, seed=7, pitch_hz=200.0)[0]
    dark = np.convolve(np.tanh(4 * dark), np.ones(6) / 6, "same")
    soundfile.write(folder / "reference.flac", 0.4 * dark, 48000, subtype="PCM_16")
    return folder / "take <1>.wav", folder / "reference.flac"


def serving(answer):
    """An address and what ends it."""
    server = make_server(answer)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()

    def end() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return f"http://127.0.0.1:{server.server_address[1]}/", end


@pytest.fixture(scope="session")
def address():
    where, end = serving(files_answer(site_files("shipped")))
    yield where
    end()


def opened(browser, address, viewport=(1280, 900), **options):
    """(context, tab, what went wrong): errors on the page, and requests beyond the server."""
    context = browser.new_context(accept_downloads=True, viewport={"width": viewport[0], "height": viewport[1]}, **options)
    tab, wrong = context.new_page(), []
    tab.set_default_timeout(120_000)
    tab.on("pageerror", lambda error: wrong.append(str(error)))
    tab.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    allowed = re.compile(f"{re.escape(address)}|blob:|data:")
    tab.on("request", lambda request: None if allowed.match(request.url) else wrong.append(request.url))
    tab.goto(address)
    return context, tab, wrong


def until(tab, expression, seconds=120):
    """Wait until a JavaScript expression is true; the page's policy forbids playwright's own way of waiting, which evaluates."""
    end = time.monotonic() + seconds
    while not tab.evaluate(expression):
        assert time.monotonic() < end, f"still not: {expression}; the page says {tab.inner_text('#progress')!r}"
        tab.wait_for_timeout(50)


def drop(tab, selector, path):
    """A file dragged from outside onto an element, as the browser itself gets it."""
    box = tab.locator(selector).bounding_box()
    session = tab.context.new_cdp_session(tab)
    event = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    data = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": kind, "data": data, **event})
    session.detach()
