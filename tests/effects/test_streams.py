"""What every effect promises as a stream: blocks equal the whole, inputs survive, odd signals behave."""

from __future__ import annotations

import numpy as np
import pytest

from stylefx.effects.base import Process
from stylefx.effects.chain import EffectChain
from stylefx.effects.registry import effect_names, make_effect
from stylefx.errors import UserError
from tests.support.effect_cases import ALL_KINDS, VARIANT_IDS, VARIANTS, make
from tests.support.effect_references import draw, programme

EFFECTS = pytest.mark.parametrize("variant", VARIANTS, ids=VARIANT_IDS)
# Pan and reverberation treat the sides differently on purpose; a crossover turns the phase (its flat magnitude has a test
# of its own); passes and notches have no neutral setting.
SAME_ON_BOTH_SIDES = [v for v in VARIANTS if v[0] not in ("pan", "reverb")]
NEUTRAL = [v for v in VARIANTS if v[0] != "multiband_compressor" and v[1].get("bands") is not ALL_KINDS]


def in_blocks(process: Process, audio: np.ndarray, sizes) -> np.ndarray:
    out, start = [], 0
    while start < audio.shape[1]:
        size = int(next(sizes))
        out.append(process(audio[:, start : start + size]))
        start += size
    return np.concatenate(out, axis=1)


@EFFECTS
@pytest.mark.parametrize("channels", [1, 2])
def test_blocks_of_any_length_equal_the_whole_to_the_bit(variant, channels):
    effect, rng = make(variant), np.random.default_rng(5)
    for _ in range(3):
        audio, settings = programme(rng, channels, 12000), draw(effect, rng)
        whole = effect.start(effect.complete(settings), 44100, channels)(audio)
        sizes = iter(rng.choice([0, 1, 2, 31, 255, 256, 257, 1024, 3000], 12000))
        blocks = in_blocks(effect.start(effect.complete(settings), 44100, channels), audio, sizes)
        np.testing.assert_array_equal(blocks, whole)


@EFFECTS
def test_render_is_aligned_whatever_the_latency(variant):
    effect, rng = make(variant), np.random.default_rng(6)
    audio, settings = programme(rng, 2, 8000), draw(effect, rng)
    process = effect.start(effect.complete(settings), 48000, 2)
    streamed = process(np.pad(audio, ((0, 0), (0, process.latency))))
    rendered = effect.render(audio, settings, 48000)
    assert rendered.shape == audio.shape
    assert rendered.dtype == np.float32
    np.testing.assert_array_equal(rendered, streamed[:, process.latency :])


@EFFECTS
def test_the_input_is_left_alone_and_any_layout_is_taken(variant):
    effect, rng = make(variant), np.random.default_rng(7)
    audio, settings = programme(rng, 2, 3000), draw(effect, rng)
    expected = effect.render(audio.copy(), settings, 44100)
    kept = audio.copy()
    for layout in (np.asfortranarray(audio), np.repeat(audio, 2, axis=1)[:, ::2], audio.astype(np.float64)):
        np.testing.assert_array_equal(effect.render(layout, settings, 44100), expected)
    audio.flags.writeable = False
    np.testing.assert_array_equal(effect.render(audio, settings, 44100), expected)
    np.testing.assert_array_equal(audio, kept)
    process = effect.start(effect.complete(settings), 44100, 2)
    assert not np.shares_memory(process(audio), audio)


@EFFECTS
@pytest.mark.parametrize("rate", [8000, 16000, 192000])
def test_any_rate_and_odd_signals_give_finite_audio(variant, rate):
    effect, rng = make(variant), np.random.default_rng(8)
    ramp = np.linspace(0, 1, 6000)
    signals = {
        "silence": np.zeros(6000),
        "dc": np.full(6000, 0.5),
        "full scale square": np.sign(np.sin(2 * np.pi * 50 * ramp)),
        "far above full scale": 100.0 * rng.standard_normal(6000),
        "denormals": np.full(6000, 1e-42),
        "one impulse": np.eye(1, 6000)[0],
        "empty": np.zeros(0),
    }
    for settings in (draw(effect, rng), None):
        for name, signal in signals.items():
            audio = np.stack([signal, -signal]).astype(np.float32)
            out = effect.render(audio, settings, rate)
            assert out.shape == audio.shape, name
            assert np.isfinite(out).all(), name
            if name == "silence":
                assert not out.any()


@pytest.mark.parametrize("variant", SAME_ON_BOTH_SIDES, ids=lambda v: v[0])
def test_mono_is_one_channel_of_two_equal_ones(variant):
    effect, rng = make(variant), np.random.default_rng(9)
    audio, settings = programme(rng, 1, 8000), draw(effect, rng)
    twice = effect.render(np.repeat(audio, 2, axis=0), settings, 44100)
    mono = effect.render(audio, settings, 44100)
    np.testing.assert_allclose(twice, np.repeat(mono, 2, axis=0), atol=1e-7, rtol=1e-6)


@pytest.mark.parametrize("variant", NEUTRAL, ids=lambda v: v[0])
def test_defaults_change_nothing(variant):
    effect, audio = make(variant), programme(np.random.default_rng(10), 2, 8000)
    audio /= np.abs(audio).max()
    np.testing.assert_allclose(effect.render(audio, None, 44100), audio, atol=1e-7, rtol=0)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_and_infinity_are_refused_and_do_not_poison_a_stream(value):
    bad, good = np.zeros((1, 100), np.float32), np.ones((1, 100), np.float32)
    bad[0, 50] = value
    for name in effect_names():
        effect = make_effect(name)
        with pytest.raises(UserError, match="NaN or infinite"):
            effect.render(bad, None, 44100)
    chain = EffectChain.of(make_effect("parametric_eq"), make_effect("compressor"))
    stream = chain.start(chain.settings(np.full(24, 0.7)), 44100, 1)
    with pytest.raises(UserError, match="NaN or infinite"):
        stream(bad)
    assert np.isfinite(stream(good)).all()


@pytest.mark.parametrize("shape", [(100,), (0, 100), (1, 2, 100)])
def test_audio_of_another_shape_is_refused(shape):
    with pytest.raises(UserError, match=r"shape \(channels, samples\)"):
        make_effect("gain").render(np.zeros(shape, np.float32), None, 44100)


def _state_values(thing) -> np.ndarray:
    """Every float that a process carries from block to block."""
    if isinstance(thing, Process) or type(thing).__module__.startswith("stylefx"):
        # Constants are tuples; states are arrays and plain numbers.
        parts = [_state_values(v) for v in vars(thing).values()]
    elif isinstance(thing, (list, tuple)):
        parts = [_state_values(v) for v in thing if not isinstance(v, float)]
    elif isinstance(thing, (float, np.ndarray)):
        return np.ravel(np.asarray(thing, np.float64))
    else:
        return np.zeros(0)
    return np.concatenate([np.zeros(0), *parts])


SLOWEST = {
    "parametric_eq": {"low_shelf_gain_db": 24.0, "low_shelf_cutoff_hz": 20.0, "low_shelf_q": 10.0},
    "graphic_eq": {"gain_31hz_db": 12.0},
    "compressor": {"threshold_db": -40.0, "ratio": 4.0, "release_ms": 500.0},
    "expander": {"threshold_db": -96.0, "ratio": 4.0, "attack_ms": 100.0, "knee_db": 12.0},
    "gate": {"threshold_db": -96.0, "attack_ms": 100.0},
    "limiter": {"gain_db": 24.0, "release_ms": 500.0},
    "multiband_compressor": {"crossover1_hz": 40.0},
    "saturation": {"drive_db": 20.0, "mix": 1.0},
    "delay": {"time_ms": 20.0, "feedback": 0.5, "damping_hz": 500.0, "mix": 1.0},
    "reverb": {"decay_s": 0.3, "high_decay_ratio": 0.5, "mix": 1.0},
}


@pytest.mark.parametrize("name", SLOWEST)
def test_states_decay_to_zero_after_the_sound_and_never_into_denormals(name):
    """Denormal numbers cost a hundred times an ordinary multiplication: a stream must not end up computing with them."""
    effect, rate = make_effect(name), 8000
    process = effect.start(effect.complete(SLOWEST[name]), rate, 1)
    process(programme(np.random.default_rng(11), 1, rate))
    assert np.abs(_state_values(process)).max() > 0
    for _ in range(25):
        process(np.zeros((1, 8 * rate), np.float32))
    values = np.abs(_state_values(process))
    assert not ((values > 0) & (values < 1e-290)).any()
    assert not process(np.zeros((1, 100), np.float32)).any()
