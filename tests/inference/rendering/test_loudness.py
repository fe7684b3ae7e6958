"""A loudness is met, or it is said by how much it was missed and why; a limiter holds the peaks, within its bound."""

import math

import numpy as np
import pyloudnorm
import pytest
import soundfile

from stylefx.effects.chain import EffectChain
from stylefx.effects.palette.limiter import Limiter
from stylefx.effects.presets import deepafx_st_chain
from stylefx.errors import UserError
from stylefx.inference.rendering.file import Loudness, render_file
from stylefx.inference.settings_file import StyleSettings, load_settings
from tests.inference.conftest import speech_like, write
from tests.inference.rendering.test_rendering import true_peak_reference

RATE = 24000


def neutral(**more) -> StyleSettings:
    return StyleSettings.of(deepafx_st_chain(), None, sample_rate=float(RATE), **more)


def loudness_of(path) -> float:
    audio, rate = soundfile.read(path)
    return pyloudnorm.Meter(rate, filter_class="DeMan").integrated_loudness(audio)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Two channels with some peaks far above the rest: 17 dB of crest."""
    audio = speech_like(5, RATE, seed=3, channels=2)
    audio[:, :: RATE // 2] += np.float32(0.45)
    return write(tmp_path_factory.mktemp("loudness") / "in.wav", audio / np.abs(audio).max() * 0.5, RATE)


@pytest.mark.parametrize("above_db", [2.0, 3.5])
def test_a_loudness_beyond_the_peaks_is_met_by_the_limiter(tmp_path, source, above_db):
    quiet = render_file(source, neutral(), tmp_path / "a.wav", loudness=Loudness(ceiling_dbtp=None)).output
    target = quiet.lufs - 1.0 - quiet.true_peak_dbtp + above_db
    done = render_file(source, neutral(), tmp_path / "out.wav", loudness=Loudness(target))
    out = soundfile.read(tmp_path / "out.wav", always_2d=True)[0].T
    assert loudness_of(tmp_path / "out.wav") == pytest.approx(target, abs=0.1)
    assert done.output.true_peak_dbtp <= -1.0 + 1e-3
    assert true_peak_reference(out) <= -1.0 + 0.35  # what BS.1770's interpolator reads less
    assert 0 < done.limiter_db <= 6.0 + 1e-6
    assert done.loudness.why == ""
    done.style.save(tmp_path / "s.json")
    again = render_file(source, load_settings(tmp_path / "s.json"), tmp_path / "again.wav")
    assert (tmp_path / "out.wav").read_bytes() == (tmp_path / "again.wav").read_bytes()
    assert again.style.chain.effects[-1].name == "limiter"


def test_a_missed_loudness_says_by_how_much_and_why(tmp_path, source):
    done = render_file(source, neutral(), tmp_path / "out.wav", loudness=Loudness(-3.0, max_reduction_db=2.0))
    measured = loudness_of(tmp_path / "out.wav")
    assert done.loudness.missed_lu == pytest.approx(measured + 3.0, abs=0.05)
    assert done.loudness.missed_lu < -1
    assert "2 dB at most" in done.loudness.why
    assert f"{-3.0 - measured:.1f} LU quieter" in done.loudness.sentence()
    assert done.limiter_db == pytest.approx(2.0, abs=1e-6)


def test_the_bound_is_what_the_limiter_really_takes(tmp_path, source):
    """Input of the limiter against its output, sample by sample, where it is loudest."""
    done = render_file(source, neutral(), tmp_path / "out.wav", loudness=Loudness(-3.0, max_reduction_db=4.0))
    audio = soundfile.read(source, dtype="float32", always_2d=True)[0].T
    settings = done.style.settings[-1]["settings"]
    into = audio * 10 ** (settings["gain_db"] / 20)
    out = EffectChain.of(Limiter()).render(audio, [{"effect": "limiter", "settings": settings}], RATE)
    loud = np.abs(into) > 0.1
    assert (20 * np.log10(np.abs(into[loud]) / np.abs(out[loud]))).max() == pytest.approx(4.0, abs=0.01)


def test_an_output_is_never_ten_lu_quieter_than_both_where_that_was_promised(tmp_path):
    """One click 30 dB above all else: within 6 dB of limiting the output would stay far below."""
    audio = 0.02 * speech_like(5, RATE, seed=4)
    audio[0, RATE] = 0.9
    source = write(tmp_path / "in.wav", audio, RATE)
    held = render_file(source, neutral(), tmp_path / "a.wav", loudness=Loudness(-16.0))
    done = render_file(source, neutral(), tmp_path / "b.wav", loudness=Loudness(-16.0, at_most_below_db=9.5))
    floor = min(done.input_lufs, -16.0) - 9.5
    assert held.loudness.missed_lu < -9.5
    assert loudness_of(tmp_path / "b.wav") >= floor - 0.1
    assert done.output.true_peak_dbtp <= -1.0 + 1e-3


def test_peaks_by_gain_add_no_effect(tmp_path, source):
    done = render_file(source, neutral(), tmp_path / "out.wav", loudness=Loudness(-6.0, peaks="gain"))
    assert len(done.style.chain.effects) == 2
    assert done.limiter_db == 0
    assert done.loudness.missed_lu < 0
    assert "gain alone" in done.loudness.why


def test_no_ceiling_on_peaks_means_none(tmp_path, source):
    done = render_file(source, neutral(), tmp_path / "out.wav", bits="float", loudness=Loudness(-3.0, peaks="none"))
    assert done.output.true_peak_dbtp > 0
    assert loudness_of(tmp_path / "out.wav") == pytest.approx(-3.0, abs=0.05)


def test_a_loudness_of_a_file_too_short_for_one_is_said(tmp_path, command):
    source = write(tmp_path / "blip.wav", speech_like(0.3, RATE), RATE)
    neutral().save(tmp_path / "s.json")
    status, text, _ = command("render", source, "--settings", tmp_path / "s.json", "-o", tmp_path / "o.wav", "--loudness", "-16")
    assert status == 0
    assert "shorter than 0.4 s" in text
    assert "no gain was applied" in text


@pytest.mark.parametrize(
    ("option", "message"), [({"peaks": "soft"}, "limiter, gain, none"), ({"max_reduction_db": math.nan}, "0..24")]
)
def test_wishes_that_make_no_sense_are_refused(option, message):
    with pytest.raises(UserError, match=message):
        Loudness(**option)
