"""Level conventions: what is said is what is measured, and silence stays."""

from __future__ import annotations

import numpy as np
import pytest

from stylefx.audio import integrated_lufs
from stylefx.audio.levels import DEFAULT_LEVEL, LevelConvention
from stylefx.errors import UserError
from tests.support.signals import speech_like

AUDIO = 0.1 * speech_like(48000, 24000, channels=2)


@pytest.mark.parametrize("data", [{"peak_dbfs": -12.0}, {"lufs": -23.0}, "none"])
def test_a_convention_survives_its_plain_data(data):
    level = LevelConvention.of(data)
    assert level.to_data() == data
    assert LevelConvention.of(level.to_data()) == level


def test_what_says_nothing_means_a_peak_of_minus_12_dbfs():
    assert LevelConvention.of(None) == DEFAULT_LEVEL == LevelConvention("peak_dbfs", -12.0)


def test_the_gain_brings_the_loudest_channel_there():
    audio = AUDIO * np.array([[1.0], [0.5]], np.float32)
    for level in (LevelConvention("peak_dbfs", -12.0), LevelConvention("lufs", -23.0)):
        raised = audio * np.float32(10 ** (level.gain_db(audio, 24000) / 20))
        found = 20 * np.log10(np.abs(raised).max()) if level.kind == "peak_dbfs" else integrated_lufs(raised[:1], 24000)
        assert found == pytest.approx(level.value, abs=1e-3)
    assert LevelConvention.of("none").gain_db(audio, 24000) == 0.0


def test_silence_and_what_is_too_short_for_a_loudness_stay():
    assert DEFAULT_LEVEL.gain_db(np.zeros((1, 1000), np.float32), 24000) == 0.0
    assert LevelConvention("lufs", -23.0).gain_db(AUDIO[:, :4000], 24000) == 0.0


@pytest.mark.parametrize("data", [{}, {"peak_dbfs": -12, "lufs": -23}, {"lufs": "loud"}, "quiet", 3])
def test_what_is_no_level_is_refused(data):
    with pytest.raises(UserError, match="is no level; give"):
        LevelConvention.of(data)
