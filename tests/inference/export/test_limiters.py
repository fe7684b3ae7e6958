"""A limiter at the end of a chain, in other programs: exact in Faust, fitted in ffmpeg, SoX and pedalboard."""

from __future__ import annotations

import numpy as np
import pytest

from stylefx.effects.chain import EffectChain
from stylefx.effects.registry import make_effect
from stylefx.errors import UserError
from stylefx.inference.export import export_text
from stylefx.inference.settings_file import StyleSettings
from tests.conftest import require_program
from tests.inference.conftest import speech_like
from tests.inference.export.test_export import RATE, difference_db, ours, through
from tests.support import faust

CEILING = 10 ** (-6 / 20)


def limiting(gain_db: float = 12.0, release_ms: float = 80.0, after_db: float = 0.0) -> StyleSettings:
    chain = EffectChain.of(make_effect("gain"), make_effect("limiter"))
    settings = {"gain_db": gain_db, "ceiling_db": -6.0, "release_ms": release_ms}
    entries = [{"effect": "gain", "settings": {"gain_db": -2.0}}, {"effect": "limiter", "settings": settings}]
    return StyleSettings.of(chain, entries, sample_rate=float(RATE), output_gain_db=after_db)


def peaking(over_db: float) -> np.ndarray:
    """Two channels, the left one with peaks ``over_db`` above the ceiling after the gains of ``limiting``."""
    audio = speech_like(3.0, RATE, seed=1, channels=2) * np.array([[1.0], [0.7]], np.float32)
    return (audio * (CEILING * 10 ** ((over_db - 10.0) / 20) / np.abs(audio).max())).astype(np.float32)


@pytest.mark.parametrize("target", ["ffmpeg", "sox", "pedalboard"])
@pytest.mark.parametrize(("over_db", "limit"), [(3.0, -34), (6.0, -28)])
def test_the_limiter_is_close_and_holds_the_ceiling(request, tmp_path, target, over_db, limit):
    pytest.importorskip("pedalboard") if target == "pedalboard" else request.getfixturevalue(target)
    wanted, audio = limiting(), peaking(over_db)
    expected, out = ours(wanted, audio), through(target, wanted, audio, tmp_path)
    assert difference_db(np.clip(audio * 10**0.5, -CEILING, CEILING), expected) > -20, "a clipper is far from it"
    assert difference_db(out, expected) < limit
    assert np.abs(out).max() < CEILING * 1.0001
    assert "Limiter fitted to ours: -" in export_text(wanted, target)


@pytest.mark.parametrize("target", ["ffmpeg", "sox", "pedalboard"])
def test_a_limiter_that_has_nothing_to_do_does_nothing(request, tmp_path, target):
    pytest.importorskip("pedalboard") if target == "pedalboard" else request.getfixturevalue(target)
    wanted, audio = limiting(after_db=-3.0), peaking(-3.0)
    assert difference_db(through(target, wanted, audio, tmp_path), ours(wanted, audio)) < -80


@pytest.mark.parametrize(("rate", "release_ms"), [(44100, 80.0), (22050, 20.0)])
def test_faust_has_our_limiter_late_by_its_look_ahead(tmp_path, rate, release_ms):
    require_program("faust", "apt-get install faust")
    require_program("g++", "apt-get install g++")
    wanted, audio, late = limiting(release_ms=release_ms), 6 * peaking(6.0)[:, :rate], round(5e-3 * rate)
    out = faust.run(export_text(wanted, "faust"), audio, rate, tmp_path)
    assert difference_db(out[:, late:], ours(wanted, audio, rate)[:, :-late]) < -120
    assert np.abs(out).max() <= CEILING * (1 + 1e-9)


def test_a_limiter_elsewhere_in_the_chain_is_refused():
    chain = EffectChain.of(make_effect("limiter"), make_effect("gain"))
    with pytest.raises(UserError, match="'limiter' in this place"):
        export_text(StyleSettings.of(chain, None), "faust")
