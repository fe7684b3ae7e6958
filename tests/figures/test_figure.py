"""Pictures are drawn whole or not at all, and show every panel that the settings allow."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.image import imread

from stylefx.evaluation.job import BASELINES
from stylefx.figures import style as figure
from stylefx.figures.transfer import transfer_figure
from tests.support.programme import music_like, speech_like

EQ = {"effect": "parametric_eq", "settings": {"band1_gain_db": 6.0, "band1_cutoff_hz": 500.0, "band1_q": 1.0}}
COMPRESSOR = {
    "effect": "compressor",
    "settings": {
        "threshold_db": -30.0, "ratio": 4.0, "attack_ms": 5.0, "release_ms": 90.0, "knee_db": 6.0, "makeup_gain_db": 8.0,
    },
}  # fmt: skip


def audio() -> dict:
    """Three lengths and channel counts: an input, a stereo reference, an output."""
    return {"input": speech_like(30000), "reference": music_like(20000), "output": speech_like(30000, seed=2)}


@pytest.mark.parametrize(
    ("settings", "titles"),
    [
        ([EQ, COMPRESSOR], ["Average spectra", "Predicted equaliser", "Predicted dynamics", "Distribution of levels"]),
        ([COMPRESSOR], ["Average spectra", "Predicted dynamics", "Distribution of levels"]),
        ([{**EQ, "bypass": True}], ["Average spectra", "Distribution of levels"]),
    ],
)
def test_transfer_figure_has_a_panel_for_each_effect(tmp_path, monkeypatch, settings, titles):
    drawn = []
    monkeypatch.setattr("matplotlib.axes.Axes.set_title", lambda self, text, **_: drawn.append(text))
    path = transfer_figure(tmp_path / "t.png", **audio(), sample_rate=24000, settings=settings)
    assert all(any(d.startswith(t) for d in drawn) for t in titles)
    assert len(drawn) == len(titles)
    image = imread(path)
    assert image.shape[1] == 1560
    assert image[..., :3].std() > 0.05


def test_silence_and_short_signals_are_drawn(tmp_path):
    short = np.zeros((1, 100), np.float32)
    transfer_figure(tmp_path / "t.png", input=short, reference=short, output=short, sample_rate=96000, settings=[EQ])
    assert (tmp_path / "t.png").stat().st_size > 10000


def test_a_picture_that_fails_leaves_the_old_one_and_no_litter(tmp_path):
    (tmp_path / "t.png").write_bytes(b"old")
    with pytest.raises(ZeroDivisionError), figure.drawing(tmp_path / "t.png", 4, 3):
        raise ZeroDivisionError
    assert (tmp_path / "t.png").read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["t.png"]


def test_there_is_a_colour_for_every_system_that_can_stand_in_one_picture():
    names = ["input", *BASELINES, "matchering", "model", "model-balance", "model-refined", "model-balance-refined"]
    colours = figure.palette(names)
    assert list(colours) == list(dict.fromkeys(names))
    assert len({colours[name] for name in BASELINES}) == len(BASELINES)
