"""A cascade gives the bits of a loop over its samples and sections, however its sections are run side by side."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from stylefx.effects.kernels.biquad import design
from stylefx.effects.kernels.cascade import CHUNK, TINY, CascadeProcess, step_form

RATE = 24000.0


def sections(number: int) -> np.ndarray:
    rng = np.random.default_rng(number)
    kinds = rng.choice(["peak", "low_shelf", "high_shelf", "high_pass", "low_pass", "notch", "all_pass"], number)
    return np.array([design(kind, rng.uniform(40, 10000), rng.uniform(0.3, 6), RATE, rng.uniform(-12, 12))[0] for kind in kinds])


def programme(channels: int, samples: int, dtype: type) -> np.ndarray:
    """Noise as faint as what is flushed, then noise, then silence, in which states decay."""
    audio = np.random.default_rng(channels).normal(0, 0.3, (channels, samples)).astype(dtype)
    audio[:, : samples // 2] *= dtype(1e-31)
    audio[:, samples * 3 // 4 :] = 0.0
    return audio


def fma(a: float, b: float, c: float) -> float:
    """a * b + c in rational numbers, rounded once."""
    return float(Fraction(a) * Fraction(b) + Fraction(c))


def loop(samples: list[float], steps: list[list[float]]) -> list[float]:
    """One sample after another through one section after another."""
    states, out = [[0.0, 0.0] for _ in steps], []
    for position, x in enumerate(samples, 1):
        for state, (c0, c1, c2, c3, c4) in zip(states, steps, strict=True):
            a, b = state
            y = fma(c0, x, a)
            state[:] = fma(c3, a, fma(c1, x, b)), fma(c4, a, c2 * x)
            x = y
        out.append(x)
        if position % CHUNK == 0:
            states = [[0.0, 0.0] if max(map(abs, state)) < TINY else state for state in states]
    return out


@pytest.mark.parametrize("number", range(1, 15))
@pytest.mark.parametrize("channels", [1, 2])
def test_sections_side_by_side_give_the_bits_of_one_after_another(number, channels):
    audio, sos = programme(channels, 3 * CHUNK, np.float64), sections(number)
    out = CascadeProcess(sos, channels, np.float64)(audio)
    np.testing.assert_array_equal(out, [loop(channel.tolist(), step_form(sos).tolist()) for channel in audio])


@pytest.mark.parametrize("number", [*range(1, 14), 25])
@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_blocks_of_any_length_give_the_bits_of_the_whole(number, channels, dtype):
    audio, sos = programme(channels, 2600, dtype), sections(number)
    whole = CascadeProcess(sos, channels, dtype)(audio)
    for length in (1, 3, 17, 255, 256, 257):
        stream = CascadeProcess(sos, channels, dtype)
        blocks = [stream(audio[:, start : start + length]) for start in range(0, audio.shape[1], length)]
        assert np.concatenate(blocks, axis=1).tobytes() == whole.tobytes(), length


def test_states_that_decay_become_zero():
    stream = CascadeProcess(sections(7), 1, np.float64)
    stream(np.full((1, 50), 1e-29))
    assert np.any(stream.state)
    stream(np.zeros((1, 200 * CHUNK)))
    assert not np.any(stream.state)


@pytest.mark.parametrize("channels", [1, 2])
def test_what_is_not_finite_stays_in_its_channel_and_behind_its_section(channels):
    """Lanes beyond the last section, or before the first sample, must not leak into those that work."""
    audio, sos = programme(channels, 600, np.float64), sections(5)
    audio[-1, 300] = np.inf
    out = CascadeProcess(sos, channels, np.float64)(audio)
    np.testing.assert_array_equal(out[-1, :300], CascadeProcess(sos, 1, np.float64)(audio[-1:, :300])[0])
    assert not np.isfinite(out[-1, 300:]).any()
    if channels == 2:
        np.testing.assert_array_equal(out[0], CascadeProcess(sos, 1, np.float64)(audio[:1])[0])


def test_neutral_sections_are_left_out():
    neutral = np.array([[1.0, -0.4, 0.2, 1.0, -0.4, 0.2]])
    assert len(step_form(np.concatenate([neutral, sections(3), neutral]))) == 3
    audio = programme(1, 500, np.float32)
    np.testing.assert_array_equal(CascadeProcess(neutral, 1)(audio), audio)
