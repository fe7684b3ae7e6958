"""Sliders for the references' weights: on the lattice the page predicts what the command predicts, between it lies between."""

import pytest

from stylefx.inference.options import TransferOptions
from stylefx.inference.page.build import write_page
from stylefx.inference.page.weights import lattice, weight_grid
from stylefx.inference.transfer import StyleTransfer
from tests.inference.conftest import speech_like, write

pytestmark = pytest.mark.xdist_group("browser")
RATE = 24000


@pytest.mark.parametrize(("references", "n", "count"), [(2, 8, 9), (3, 5, 21), (4, 3, 20), (7, 1, 7)])
def test_a_lattice_has_all_mixes_and_few_points(references, n, count):
    found, points = lattice(references)
    assert (found, len(points), len(set(points))) == (n, count, count)
    assert all(sum(parts) == n and min(parts) >= 0 for parts in points)


@pytest.fixture(scope="module")
def made(tmp_path_factory, checkpoint):
    folder = tmp_path_factory.mktemp("weights")
    source = write(folder / "a.wav", speech_like(2, RATE, seed=1), RATE)
    references = [write(folder / f"r{i}.wav", 0.2 * i * speech_like(2, RATE, seed=i), RATE) for i in (2, 3, 4)]
    return StyleTransfer(checkpoint), source, references, folder


def test_sliders_are_the_command(made, browser):
    tool, source, references, folder = made
    options = TransferOptions(windows=2, intensity=0.9)
    style = tool.settings(source, references, options)
    write_page(folder / "p.html", style, source, references, weights=weight_grid(tool, source, references, options))
    page = browser.new_page()
    page.goto((folder / "p.html").as_uri())
    page.evaluate("() => stylePage.ready")
    for name, value in (("tone of r2.wav", 0.0), ("tone of r3.wav", 0.2), ("tone of r4.wav", 0.8), ("dynamics of r2.wav", 0.0)):
        page.fill(f"[aria-label='{name}, typed']", str(value))
        page.keyboard.press("Enter")
    page.fill("[aria-label='dynamics of r3.wav, typed']", "0")
    page.keyboard.press("Enter")
    wished = TransferOptions(windows=2, intensity=0.9, tone_weights=(0.0, 0.2, 0.8), dynamics_weights=(0.0, 0.0, 1.0))
    expected = tool.settings(source, references, wished)
    for shown, entry in zip(page.evaluate("stylePage.state.effects"), expected.settings, strict=True):
        assert shown["settings"] == pytest.approx(entry["settings"], rel=1e-4, abs=1e-4), entry["effect"]
    about = page.evaluate("stylePage.edits.saved().about")
    assert about["tone_weights"] == pytest.approx([0.0, 0.2, 0.8])
    assert about["dynamics_weights"] == pytest.approx([0.0, 0.0, 1.0])
    shares = page.evaluate("StyleWeights.corners([0.5, 0.3, 0.2], 8)")
    mixed = [sum(c["share"] * c["parts"][i] for c in shares) / 8 for i in range(3)]
    assert mixed == pytest.approx([0.5, 0.3, 0.2])
    assert all(min(c["parts"]) >= 0 for c in shares)
    for _ in range(5):
        page.keyboard.press("Control+z")
    assert page.evaluate("stylePage.state.weights.tone") == pytest.approx([1 / 3] * 3)
    page.close()


def test_one_reference_needs_no_sliders(made):
    tool, source, references, _ = made
    assert weight_grid(tool, source, references[:1], TransferOptions()) is None
    assert weight_grid(tool, source, references, TransferOptions(refine_steps=2)) is None
