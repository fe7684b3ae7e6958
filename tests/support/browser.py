"""A headless Chromium for tests of pages; where there is none they are skipped, with the line that installs it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.conftest import require_program

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--disable-default-apps", "--no-first-run", "--autoplay-policy=no-user-gesture-required"]  # fmt: skip


@contextmanager
def running_browser() -> Iterator[Any]:
    """playwright's browser, closed at the end."""
    program = require_program("chromium", "apt-get install chromium")
    api = pytest.importorskip("playwright.sync_api")
    with api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield running
        running.close()


def tap_until(page: Any, selector: str, condition: str, tries: int = 8, wait_ms: float = 4000) -> None:
    """Tap until the condition holds. A busy machine makes a long press of a tap, which is no click; people tap again, too."""
    from playwright.sync_api import TimeoutError as NotYet

    for left in reversed(range(tries)):
        page.locator(selector).tap()
        try:
            page.wait_for_function(condition, timeout=wait_ms)
            return
        except NotYet:
            if not left:
                raise
