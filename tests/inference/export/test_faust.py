"""The Faust program, compiled by faust and a C++ compiler, is our render."""

from __future__ import annotations

import pytest

from stylefx.inference.export import export_text
from tests.conftest import require_program
from tests.inference.conftest import speech_like
from tests.inference.export.test_export import COMPRESSOR, EQ, difference_db, ours, style
from tests.support import faust


@pytest.fixture
def compiler() -> None:
    require_program("faust", "apt-get install faust")
    require_program("g++", "apt-get install g++")


def test_the_whole_chain_is_ours(compiler, tmp_path):
    wanted = style(EQ, COMPRESSOR, gain_db=-1.5)
    audio = speech_like(1.0, 44100, seed=1, channels=2)
    assert difference_db(faust.run(export_text(wanted, "faust"), audio, 44100, tmp_path), ours(wanted, audio)) < -120


def test_bands_that_a_low_rate_cannot_hold_are_ours_too(compiler, tmp_path):
    wanted = style(EQ | {"band4_cutoff_hz": 5000.0, "high_shelf_cutoff_hz": 9500.0}, None, rate=8000, gain_db=2.0)
    audio = speech_like(0.5, 8000, seed=1, channels=2)
    assert difference_db(faust.run(export_text(wanted, "faust"), audio, 8000, tmp_path), ours(wanted, audio, 8000)) < -120
