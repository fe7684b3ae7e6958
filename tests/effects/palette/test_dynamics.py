"""Compressor, expander, gate and limiter: curves, time constants, links, and the mistakes others made."""

from __future__ import annotations

import numpy as np
import pytest

from stylefx.effects.kernels.sliding import SlidingPeak
from stylefx.effects.palette import compressor, expander
from stylefx.effects.palette.compressor import Compressor
from stylefx.effects.palette.expander import Expander
from stylefx.effects.palette.gate import Gate
from stylefx.effects.palette.limiter import Limiter
from stylefx.errors import UserError
from tests.support.effect_references import draw, programme

LEVELS = np.linspace(-96, 6, 2049)


def measured_curve(effect, settings, levels_db, rate=24000):
    """Output level in dB of a constant of each level, after it has settled."""
    levels = []
    for level in levels_db:
        out = effect.render(np.full((1, rate), 10 ** (level / 20), np.float32), settings, rate)
        levels.append(20 * np.log10(abs(float(out[0, -1]))))
    return np.array(levels)


@pytest.mark.parametrize("effect", [Compressor(), Expander(), Gate()], ids=lambda e: e.name)
def test_a_settled_constant_lands_on_the_static_curve(effect):
    levels = np.linspace(-90, 6, 25)
    rng = np.random.default_rng(1)
    for _ in range(3):
        settings = {**draw(effect, rng), "attack_ms": 1.0, "release_ms": 5.0}
        settings["threshold_db"] = rng.uniform(-50, -10)
        np.testing.assert_allclose(measured_curve(effect, settings, levels), effect.static_curve_db(settings, levels), atol=1e-4)


@pytest.mark.parametrize("knee", [0.0, 0.5, 6.0, 12.0])
@pytest.mark.parametrize("ratio", [1.5, 4.0, 20.0])
def test_the_soft_knee_never_boosts_and_never_jumps(ratio, knee):
    """A published soft knee boosts by 0.84 dB and then jumps by 5.3 dB at ratio 4 and knee 12."""
    settings = {"threshold_db": -30.0, "ratio": ratio, "knee_db": knee}
    curve = compressor.static_curve_db(settings, LEVELS)
    slope = np.diff(curve) / np.diff(LEVELS)
    assert (curve <= LEVELS + 1e-9).all()
    assert slope.max() <= 1 + 1e-9
    assert slope.min() >= 1 / ratio - 1e-9
    if knee > 0:
        assert np.abs(np.diff(slope)).max() < 1.1 * (1 - 1 / ratio) / knee * (LEVELS[1] - LEVELS[0])
    mirrored = expander.static_curve_db({**settings, "ratio": 2.0, "range_db": 200.0}, LEVELS)
    assert (mirrored <= LEVELS + 1e-9).all()
    assert (np.diff(mirrored) > 0).all()


def test_the_knee_is_the_quadratic_of_the_paper():
    """Giannoulis et al., equation 4, three points by hand: T -20, R 4, W 12."""
    settings = {"threshold_db": -20.0, "ratio": 4.0, "knee_db": 12.0}
    levels = np.array([-26.0, -20.0, -14.0, -10.0])
    np.testing.assert_allclose(compressor.static_curve_db(settings, levels), [-26.0, -21.125, -18.5, -17.5], atol=1e-12)


def test_the_range_bounds_the_expander():
    settings = {"threshold_db": -20.0, "ratio": 10.0, "range_db": 15.0}
    assert expander.static_curve_db(settings, np.array([-60.0]))[0] == pytest.approx(-75.0)


def step_response_db(effect, settings, before_db, after_db, rate=24000):
    """Gain in dB, per sample after a step between two levels."""
    levels = np.concatenate([np.full(2 * rate, before_db), np.full(2 * rate, after_db)])
    audio = (10 ** (levels / 20))[None].astype(np.float32)
    gain = effect.render(audio, settings, rate)[0] / audio[0]
    return 20 * np.log10(gain[2 * rate :].astype(np.float64))


@pytest.mark.parametrize(
    ("effect", "attacks"),
    [(Compressor(), (-60.0, -10.0)), (Expander(), (-60.0, -10.0))],
    ids=["compressor", "expander"],
)
def test_times_are_those_from_10_to_90_percent(effect, attacks):
    """Attack when the sound comes, release when it goes: in both effects, with different times for each."""
    settings = {"threshold_db": -30.0, "ratio": 3.0, "attack_ms": 20.0, "release_ms": 150.0, "knee_db": 0.0}
    for (before, after), time_ms in ((attacks, 20.0), (attacks[::-1], 150.0)):
        gain = step_response_db(effect, settings, before, after)
        covered = (gain - gain[0]) / (gain[-1] - gain[0])
        measured_ms = (np.argmax(covered > 0.9) - np.argmax(covered > 0.1)) / 24.0
        assert measured_ms == pytest.approx(time_ms, rel=0.02)


def test_make_up_gain_arrives_at_the_output():
    audio = programme(np.random.default_rng(2), 1, 4000)
    plain = Compressor().render(audio, {"ratio": 4.0}, 24000)
    louder = Compressor().render(audio, {"ratio": 4.0, "makeup_gain_db": 6.0}, 24000)
    np.testing.assert_allclose(louder, plain * 10 ** (6 / 20), rtol=2e-7)


@pytest.mark.parametrize("effect", [Compressor(), Expander(), Gate(), Limiter()], ids=lambda e: e.name)
def test_channels_share_one_gain(effect):
    rng = np.random.default_rng(3)
    audio = programme(rng, 2, 20000)
    audio[1] *= 0.05
    settings = {**draw(effect, rng), "threshold_db": -40.0} if effect.name != "limiter" else {"gain_db": 18.0}
    out = effect.render(audio, settings, 24000)
    heard = np.abs(audio).min(axis=0) > 1e-4
    np.testing.assert_allclose(out[0, heard] / audio[0, heard], out[1, heard] / audio[1, heard], rtol=1e-5)


@pytest.mark.parametrize(
    ("effect", "settings", "message"),
    [
        (Compressor(), {"ratio": 0.5}, "ratio is 0.5; it must be at least 1"),
        (Compressor(), {"attack_ms": 0.0}, "attack_ms is 0; it must be greater than 0"),
        (Compressor(), {"knee_db": -1.0}, "knee_db is -1"),
        (Expander(), {"range_db": -1.0}, "range_db is -1"),
        (Expander(), {"release_ms": -3.0}, "release_ms is -3"),
        (Gate(), {"hold_ms": -3.0}, "hold_ms is -3"),
        (Limiter(), {"release_ms": 0.0}, "release_ms is 0"),
    ],
)
def test_settings_without_physical_sense_are_refused(effect, settings, message):
    with pytest.raises(UserError, match=message):
        effect.render(np.zeros((1, 10)), settings, 44100)


# -- gate


def test_the_gate_holds_before_it_closes():
    rate = 24000
    audio = np.full((1, rate), 0.5, np.float32)
    audio[:, rate // 2 :] = 1e-3
    settings = {"threshold_db": -30.0, "hold_ms": 100.0, "attack_ms": 1.0, "release_ms": 5.0, "range_db": 40.0}
    out = Gate().render(audio, settings, rate)
    held = slice(rate // 2, rate // 2 + int(0.099 * rate))
    np.testing.assert_allclose(out[:, held], audio[:, held], rtol=1e-5)
    assert out[0, -1] == pytest.approx(1e-5, rel=1e-3)


def test_the_gate_stays_open_across_the_zero_crossings_of_a_low_tone():
    rate = 24000
    tone = (0.5 * np.sin(2 * np.pi * 40 * np.arange(rate) / rate))[None].astype(np.float32)
    settings = {"threshold_db": -12.0, "hold_ms": 20.0, "attack_ms": 0.1, "release_ms": 5.0}
    out = Gate().render(tone, settings, rate)
    np.testing.assert_allclose(out[:, rate // 2 :], tone[:, rate // 2 :], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("window", [1, 2, 17, 500])
def test_the_sliding_peak_is_the_largest_of_its_window(window):
    audio = programme(np.random.default_rng(4), 2, 3000)
    padded = np.concatenate([np.zeros(window - 1, np.float32), np.abs(audio).max(axis=0)])
    expected = np.lib.stride_tricks.sliding_window_view(padded, window).max(axis=1)
    np.testing.assert_array_equal(SlidingPeak(window)(audio)[0], expected)


# -- limiter


@pytest.mark.parametrize("rate", [24000, 96000])
def test_no_sample_passes_the_ceiling(rate):
    rng = np.random.default_rng(5)
    for lookahead_ms in (0.05, 1.0, 5.0, 40.0):
        effect = Limiter(lookahead_ms)
        for _ in range(10):
            settings = draw(effect, rng)
            audio = programme(rng, 2, 20000)
            audio[:, rng.integers(0, 20000, 30)] = rng.choice([-40.0, 40.0, 1.0], 30)
            out = effect.render(audio, settings, rate)
            assert np.abs(out.astype(np.float64)).max() <= 10 ** (settings["ceiling_db"] / 20)


def test_the_limiter_prepares_for_a_peak_instead_of_clipping_it():
    """A peak far above the ceiling: the gain falls smoothly over the look-ahead and meets the peak at the ceiling."""
    rate, effect = 48000, Limiter(lookahead_ms=5.0)
    audio = np.full((1, rate), 0.1, np.float32)
    audio[0, rate // 2] = 4.0
    out = effect.render(audio, {"ceiling_db": -6.0, "release_ms": 100.0}, rate)
    gain_db = 20 * np.log10(out[0] / audio[0])
    ahead = effect.lookahead(rate)
    assert out[0, rate // 2] == pytest.approx(10 ** (-6 / 20), rel=1e-6)
    assert np.abs(gain_db[: rate // 2 - ahead]).max() < 1e-6
    assert np.abs(np.diff(gain_db)).max() < 3 * (18.1 / ahead)
    assert np.abs(np.diff(gain_db, 2)).max() < 8 * 18.1 / ahead**2


def test_the_limiter_leaves_audio_below_its_ceiling_alone():
    audio = programme(np.random.default_rng(6), 2, 9000)
    audio *= 0.99 / np.abs(audio).max()
    np.testing.assert_array_equal(Limiter().render(audio, None, 44100), audio)


@pytest.mark.parametrize("lookahead_ms", [0.0, -1.0, 1000.0, float("nan")])
def test_a_look_ahead_without_sense_is_refused(lookahead_ms):
    with pytest.raises(UserError, match="lookahead_ms"):
        Limiter(lookahead_ms)
