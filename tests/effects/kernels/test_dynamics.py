"""The compiled dynamics give the bits of a loop over their samples, however many samples are worked on at a time."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from stylefx.effects.kernels.dynamics import CHUNK, TINY_DB, DynamicsProcess, Reduction, gain_line, reduce_level
from stylefx.effects.kernels.smoothed import LOG2

RATE = 24000.0
REDUCTIONS = {
    "compressor": Reduction(True, -35.0, 0.75, 6.0, 96.0, 8.0, 120.0),
    "compressor, hard knee, slow attack": Reduction(True, -20.0, 0.5, 0.0, 96.0, 200.0, 5.0),
    "compressor, fast release": Reduction(True, -35.0, 0.75, 6.0, 96.0, 8.0, 0.5),
    "limiter, attack at once": Reduction(True, -12.0, 1.0, 0.0, 96.0, 0.0, 60.0),
    "expander": Reduction(False, -30.0, 2.0, 10.0, 40.0, 3.0, 50.0),
    "gate, fast release": Reduction(False, -40.0, 9.0, 3.0, 70.0, 90.0, 0.5),
}
EXP2 = (1.3259691743114984e-06, 1.5310081589973446e-05, 0.00015403433532200746, 0.0013333450558785471, 0.00961812919425616)
EXP2 += (0.05550410941217134, 0.2402265069563897, 0.6931471805459296, 1.0)


def programme(channels: int, samples: int) -> np.ndarray:
    """Noise of many levels, with silence, what is below the floor, and full scale."""
    rng = np.random.default_rng(channels)
    audio = rng.normal(0, 1, (channels, samples)) * 10.0 ** np.repeat(rng.uniform(-6, 0, samples // 50 + 1), 50)[:samples]
    audio[:, CHUNK // 2 : CHUNK + 100] = 0.0  # what decays fast has become zero at the end of the chunk
    audio[:, -60:] = rng.choice([1e-30, 1.0, -1.0, 2.0**-16, 2 / 3, np.nextafter(np.float32(2 / 3), 0), 4 / 3], 60)
    return audio.astype(np.float32)


def fma(a: float, b: float, c: float) -> float:
    """a * b + c in rational numbers, rounded once."""
    return float(Fraction(a) * Fraction(b) + Fraction(c))


def series(x: float, coefficients: tuple[float, ...]) -> float:
    total, *others = coefficients
    for coefficient in others:
        total = fma(x, total, coefficient)
    return total


def static_reduction(sample: np.ndarray, curve: tuple[float, ...]) -> float:
    """dB, of the channels (channels,) of one sample."""
    unit, offset, half_knee, inverse, slope, limit = curve
    m, exponent = math.frexp(max(float(np.abs(sample).max()), float(np.float32(10.0 ** (-96.0 / 20.0)))))
    if m < float(np.float32(2.0 / 3.0)):
        m, exponent = 2.0 * m, exponent - 1
    s = (m - 1.0) / (m + 1.0)
    d = unit * (exponent + s * series(s * s, LOG2)) + offset
    inside = min(max(d + half_knee, 0.0), 2.0 * half_knee)
    return min(slope * (inside * inside * inverse + max(d - half_knee, 0.0)), limit)


def loop(audio: np.ndarray, reduction: Reduction, gain_db: float) -> tuple[np.ndarray, list[float]]:
    """One sample after another: output, float64 (channels, n), and smoothed reduction in dB."""
    a_rise, b_rise, a_fall, b_fall = reduction.smoother(RATE)
    pick = max if a_rise <= a_fall else min
    y, out, smoothed = 0.0, [], []
    for position, sample in enumerate(audio.T, 1):
        r = static_reduction(sample, reduction.curve())
        y = pick(fma(a_rise, y, b_rise * r), fma(a_fall, y, b_fall * r))
        smoothed.append(y)
        octaves = fma(y, *gain_line(gain_db))
        whole = math.floor(octaves + 0.5)
        out.append(sample.astype(np.float64) * math.ldexp(series(octaves - whole, EXP2), whole))
        y = 0.0 if position % CHUNK == 0 and y < TINY_DB else y
    return np.array(out).T, smoothed


@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize("channels", [1, 2])
def test_samples_side_by_side_give_the_bits_of_one_after_another(name, channels):
    audio, reduction = programme(channels, 2 * CHUNK + 13), REDUCTIONS[name]
    expected, smoothed = loop(audio, reduction, 3.0)
    np.testing.assert_array_equal(DynamicsProcess(reduction, 3.0, RATE, np.float64)(audio), expected)
    level = np.empty(audio.shape[1])
    last = reduce_level(audio, level, reduction.curve(), reduction.smoother(RATE), 0.0, 0)
    assert level.tolist() == smoothed
    assert last == smoothed[-1]


@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_blocks_of_any_length_give_the_bits_of_the_whole(name, dtype):
    audio, reduction = programme(2, 3000), REDUCTIONS[name]
    whole = DynamicsProcess(reduction, 3.0, RATE, dtype)(audio)
    for length in (1, 3, 7, 8, 9, 255, 256, 257, 1025):
        stream = DynamicsProcess(reduction, 3.0, RATE, dtype)
        blocks = [stream(audio[:, start : start + length]) for start in range(0, audio.shape[1], length)]
        assert np.concatenate(blocks, axis=1).tobytes() == whole.tobytes(), length


def test_a_reduction_that_decays_becomes_zero():
    stream = DynamicsProcess(Reduction(True, -35.0, 0.75, 6.0, 96.0, 1.0, 1.0), 0.0, RATE)
    stream(np.ones((1, 100), np.float32))
    assert stream.state_db > 0.0
    stream(np.zeros((1, 4 * CHUNK), np.float32))
    assert stream.state_db == 0.0
