"""The studio in a browser: how large it is, how fast it starts, and how long three minutes of stereo take.

python -m benchmarks.studio [--pictures FOLDER]
"""

from __future__ import annotations

import argparse
import os
import re
import tempfile
import time
from pathlib import Path

import soundfile
from playwright.sync_api import Page, sync_playwright

from stylefx.studio.serve import files_answer
from stylefx.studio.site import site_files
from tests.inference.conftest import speech_like
from tests.studio.conftest import drop, opened, serving, until
from tests.support.browser import FLAGS

_SCREENS = {"desktop": (1280, 900), "phone": (390, 844)}


def _transferred(tab: Page, recordings: list[Path]) -> float:
    """Seconds from the second drop to settings, pictures and a button that plays."""
    drop(tab, "#drop-reference", recordings[1])
    until(tab, "document.getElementById('reference-name').textContent.includes('Hz')")
    start = time.perf_counter()
    drop(tab, "#drop-input", recordings[0])
    until(tab, "styleStudio.found && !document.getElementById('whole').disabled", 300)
    tab.evaluate("() => styleStudio.done.then(() => styleStudio.page.ready)")
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=Path, help="write PNGs of desktop and phone here")
    parser.add_argument("--seconds", type=float, default=180.0)
    options = parser.parse_args()
    files = site_files("shipped")
    scripts = sum(len(data) for name, data in files.items() if not name.startswith("model/"))
    print(f"page and scripts {scripts / 1e3:.0f} kB, model {(sum(map(len, files.values())) - scripts) / 1e6:.1f} MB")
    address, end = serving(files_answer(files))
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        recordings = [Path(folder) / "take.wav", Path(folder) / "reference.wav"]
        soundfile.write(recordings[0], speech_like(options.seconds, 44100, seed=1, channels=2).T, 44100)
        soundfile.write(recordings[1], speech_like(options.seconds, 44100, seed=5, channels=2, pitch_hz=220.0).T, 44100)
        browser = playwright.chromium.launch(executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"), args=FLAGS)
        for name, screen in _SCREENS.items():
            start = time.perf_counter()
            context, tab, wrong = opened(browser, address, viewport=screen)
            tab.evaluate("() => styleStudio.ready")
            started = time.perf_counter() - start
            took = _transferred(tab, recordings)
            said = re.search(r"[0-9.]+ s", tab.inner_text("#progress"))
            print(f"{name}: starts in {started:.2f} s; {options.seconds:.0f} s of stereo in {took:.1f} s, prediction to limiter "
                  f"{said.group() if said else '?'}; wrong: {wrong or 'nothing'}")  # fmt: skip
            if options.pictures:
                options.pictures.mkdir(parents=True, exist_ok=True)
                tab.screenshot(path=options.pictures / f"studio-{name}.png", full_page=True)
            context.close()
        browser.close()
    end()


if __name__ == "__main__":
    main()
