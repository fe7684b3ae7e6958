"""Reverberation: a feedback delay network whose decay depends on frequency."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from stylefx.effects.base import Effect, Process, Settings, as_block
from stylefx.effects.checks import require_positive, require_within
from stylefx.effects.kernels.biquad import clamp_cutoff, is_beyond
from stylefx.effects.kernels.jit import fma, kernel
from stylefx.effects.kernels.low_rate import REFERENCE_RATE, first_order_map
from stylefx.effects.parameters import Parameter
from stylefx.effects.registry import register
from stylefx.errors import UserError

LINE_TIMES_MS = (29.7, 34.1, 39.3, 44.9, 51.7, 58.3, 66.1, 74.3)
LINES = len(LINE_TIMES_MS)


def _prime_from(number: int) -> int:
    """The smallest prime >= number: lengths without common factors spread the echoes."""
    while number < 2 or any(number % d == 0 for d in range(2, math.isqrt(number) + 1)):
        number += 1
    return number


def line_lengths(size: float, sample_rate: float) -> np.ndarray:
    """Samples of the eight delay lines, int64, increasing primes."""
    lengths: list[int] = []
    for time_ms in LINE_TIMES_MS:
        lengths.append(_prime_from(max(round(size * time_ms * 1e-3 * sample_rate), lengths[-1] + 1 if lengths else 2)))
    return np.array(lengths, dtype=np.int64)


def feedback_matrix() -> np.ndarray:
    """Hadamard matrix of order 8 divided by sqrt(8): orthogonal, every line feeds every line alike."""
    two = np.array([[1.0, 1.0], [1.0, -1.0]])
    return np.kron(np.kron(two, two), two) / math.sqrt(LINES)


def line_gains(channels: int) -> tuple[np.ndarray, np.ndarray]:
    """Gains into the lines (8, channels) and out of them (channels, 8). Stereo: left even, right odd lines, in and out."""
    if channels == 1:
        return np.full((LINES, 1), 1.0 / math.sqrt(LINES)), np.array([[1.0, -1.0, 1.0, 1.0, -1.0, 1.0, -1.0, -1.0]])
    even = np.tile([1.0, 0.0], LINES // 2)
    sides = np.stack([even, 1.0 - even])
    return sides.T / math.sqrt(LINES // 2), sides


def absorption(lengths: np.ndarray, settings: Settings, sample_rate: float) -> np.ndarray:
    """First-order high shelves of the lines, float64 (8, 3): b0, b1, a1.

    A line of m samples attenuates by g = 10^(-3 m / (fs T)) with the decay time T = decay_s at low and
    decay_s * high_decay_ratio at high frequencies: H(s) = g_low (1 + sqrt(k) s) / (1 + s / sqrt(k)), k = g_high / g_low,
    bilinear with s = 1 at crossover_hz; above 0.9 Nyquist the shelf of 48 kHz (``low_rate``), so that decays stay.
    """
    seconds = lengths / sample_rate
    low = 10.0 ** (-3.0 * seconds / settings["decay_s"])
    root = 10.0 ** (-1.5 * seconds / settings["decay_s"] * (1.0 / settings["high_decay_ratio"] - 1.0))
    crossover_hz = clamp_cutoff(settings["crossover_hz"], sample_rate)
    if is_beyond(crossover_hz, sample_rate):
        a, c = first_order_map(sample_rate)
        a = a / math.tan(math.pi * crossover_hz / REFERENCE_RATE) ** 2
        zero, pole = np.sqrt(c + a * root**2), np.sqrt(c * root**2 + a)
        return np.stack(
            [low * root * (1 + zero) / (root + pole), low * root * (1 - zero) / (root + pole), (root - pole) / (root + pole)],
            axis=1,
        )
    k = math.tan(math.pi * crossover_hz / sample_rate)
    # Multiplied through by sqrt(k), which may be as small as 1e-100.
    a0 = k * root + 1.0
    return np.stack([low * root * (k + root) / a0, low * root * (k - root) / a0, (k * root - 1.0) / a0], axis=1)


class _ReverbProcess(Process):
    def __init__(self, lengths: np.ndarray, shelves: np.ndarray, level: float, predelay: int, mix: float, channels: int):
        self._lines = np.zeros((LINES, int(lengths.max())))
        self._lengths, self._places = lengths, np.zeros(LINES, np.int64)
        self._shelves, self._states = shelves, np.zeros(LINES)
        self._into, self._out_of = line_gains(channels)
        self._out_of = level * self._out_of
        self._mix = mix
        self._waiting = np.zeros((channels, predelay), np.float32)

    def __call__(self, block: np.ndarray) -> np.ndarray:
        n = block.shape[1]
        audio = np.concatenate([self._waiting, block], axis=1)
        self._waiting = audio[:, n:].copy()
        out = np.empty(block.shape, np.float32)
        network = (self._lines, self._lengths, self._places, self._shelves, self._states, self._into, self._out_of)
        reverberate(as_block(block), as_block(audio[:, :n]), out, network, self._mix)
        return out


@kernel
def reverberate(dry, audio, out, network, mix):
    """dry, audio (the dry signal after the pre-delay), out float32 (channels, n); the network's lines, places and filter
    states are updated."""
    lines, lengths, places, shelves, states, into, out_of = network
    channels = audio.shape[0]
    s = np.empty(8)
    for n in range(audio.shape[1]):
        for i in range(8):
            v = lines[i, places[i]]
            y = fma(shelves[i, 0], v, states[i])
            state = fma(-shelves[i, 2], y, shelves[i, 1] * v)
            states[i] = state if abs(state) > 1e-30 else 0.0
            s[i] = y
        for c in range(channels):
            wet = 0.0
            for i in range(8):
                wet = fma(out_of[c, i], s[i], wet)
            out[c, n] = fma(mix, wet - dry[c, n], dry[c, n])
        _hadamard(s)
        for i in range(8):
            u = s[i]
            for c in range(channels):
                u = fma(into[i, c], np.float64(audio[c, n]), u)
            lines[i, places[i]] = u if abs(u) > 1e-30 else 0.0
            places[i] = places[i] + 1 if places[i] + 1 < lengths[i] else 0


@kernel
def _hadamard(s):
    """Multiply by the feedback matrix, in place, by butterflies."""
    step = 1
    while step < 8:
        for i in range(8):
            if i & step == 0:
                a, b = s[i], s[i + step]
                s[i], s[i + step] = a + b, a - b
        step *= 2
    for i in range(8):
        s[i] *= 0.3535533905932738


@register
class Reverb(Effect):
    """Eight delay lines in a loop with an orthogonal matrix, and in each line a filter for its share of the decay
    (J.-M. Jot, A. Chaigne, "Digital delay networks for designing artificial reverberators", AES 90th Convention, 1991).

        s_i = absorption_i(u_i delayed by m_i), u = A s + B x, wet = level C s, out = x + mix (wet - x)

    with A = ``feedback_matrix``, B, C = ``line_gains``, level = sqrt(mean_i(1 - g_i^2) / mean_i(g_i^2)), g_i the lines'
    attenuation at low frequencies: the wet signal has about the energy of the dry one for every decay. decay_s is the time
    to -60 dB at low, decay_s * high_decay_ratio at high frequencies. ``size`` scales the lines (30..74 ms at 1) and
    ``predelay_ms`` delays the wet signal; both belong to the effect, not to its settings. Deterministic. float32
    (1 or 2, samples), any rate. The default mix is 0: dry.
    """

    name = "reverb"
    parameters = (
        Parameter("decay_s", "s", 0.1, 10.0, 1.5, "log"),
        Parameter("high_decay_ratio", "", 0.1, 1.0, 0.5, "log"),
        Parameter("crossover_hz", "Hz", 500.0, 10000.0, 4000.0, "log"),
        Parameter("mix", "", 0.0, 1.0, 0.0),
    )

    def __init__(self, size: float = 1.0, predelay_ms: float = 0.0):
        if not (math.isfinite(size) and 0.1 <= size <= 10.0):
            raise UserError(f"reverb: size is {size}; give a number in 0.1..10")
        if not (math.isfinite(predelay_ms) and 0.0 <= predelay_ms <= 1000.0):
            raise UserError(f"reverb: predelay_ms is {predelay_ms}; give a time in 0..1000 ms")
        self.size, self.predelay_ms = float(size), float(predelay_ms)

    def config(self) -> dict[str, Any]:
        return {"size": self.size, "predelay_ms": self.predelay_ms}

    def validate(self, settings: Settings) -> None:
        require_positive(self.name, settings, "decay_s", "high_decay_ratio", "crossover_hz")
        require_within(self.name, settings, 0.0, 1.0, "mix")

    def effective(self, settings: Settings, sample_rate: float) -> dict[str, float]:
        full = self.complete(settings)
        return {**full, "crossover_hz": clamp_cutoff(full["crossover_hz"], sample_rate)}

    def predelay(self, sample_rate: float) -> int:
        """Pre-delay in samples."""
        return round(self.predelay_ms * 1e-3 * sample_rate)

    def start(self, settings: Settings, sample_rate: float, channels: int) -> Process:
        if channels > 2:
            raise UserError(f"reverb: the audio has {channels} channels; it works on mono and stereo")
        lengths = line_lengths(self.size, sample_rate)
        energy = 10.0 ** (-6.0 * lengths / sample_rate / settings["decay_s"])
        level = math.sqrt(np.mean(1.0 - energy) / np.mean(energy))
        shelves = absorption(lengths, settings, sample_rate)
        return _ReverbProcess(lengths, shelves, level, self.predelay(sample_rate), settings["mix"], channels)
