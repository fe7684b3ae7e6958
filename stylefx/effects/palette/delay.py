"""Feedback delay (echo) with a damped loop."""

from __future__ import annotations

import math

import numpy as np

from stylefx.effects.base import Effect, Process, Settings, as_block
from stylefx.effects.checks import require_positive, require_within
from stylefx.effects.kernels.jit import fma, kernel
from stylefx.effects.parameters import Parameter
from stylefx.effects.registry import register

MINIMUM_SAMPLES = 2.0


def lagrange(fraction: float) -> tuple[float, float, float, float]:
    """Weights of four neighbouring samples for a delay of 1 + fraction, 0 <= fraction < 1 (third-order Lagrange)."""
    d = 1.0 + fraction
    return (
        -(d - 1.0) * (d - 2.0) * (d - 3.0) / 6.0,
        d * (d - 2.0) * (d - 3.0) / 2.0,
        -d * (d - 1.0) * (d - 3.0) / 2.0,
        d * (d - 1.0) * (d - 2.0) / 6.0,
    )


class _DelayProcess(Process):
    def __init__(self, delay_samples: float, feedback: float, pole: float, mix: float, channels: int):
        whole = math.floor(delay_samples)
        self._taps = lagrange(delay_samples - whole)
        self._loop = (feedback, pole, 1.0 - pole, mix)
        self._line = np.zeros((channels, whole + 2))  # the last samples of u, a ring
        self._damped = np.zeros(channels)
        self._place = 0

    def __call__(self, block: np.ndarray) -> np.ndarray:
        out = np.empty(block.shape, np.float32)
        self._place = echo(as_block(block), out, self._line, self._damped, self._taps, self._loop, self._place)
        return out


@kernel
def echo(audio, out, line, damped, taps, loop, place):
    """audio, out float32 (channels, n); line float64 (channels, floor(D) + 2) and damped (channels,) updated; returns the
    next place in the ring. The oldest four entries of the ring are the delayed samples."""
    feedback, pole, unity, mix = loop
    t0, t1, t2, t3 = taps
    length = line.shape[1]
    start = place
    for c in range(audio.shape[0]):
        place, w = start, damped[c]
        for n in range(audio.shape[1]):
            # place is where u[n] will go: it holds u[n - length], length = floor(D) + 2.
            a = place + 1 if place + 1 < length else 0
            b = a + 1 if a + 1 < length else 0
            d = b + 1 if b + 1 < length else 0
            v = fma(t0, line[c, d], fma(t1, line[c, b], fma(t2, line[c, a], t3 * line[c, place])))
            w = fma(pole, w, unity * v)
            w = w if abs(w) > 1e-30 else 0.0
            x = np.float64(audio[c, n])
            u = fma(feedback, w, x)
            line[c, place] = u if abs(u) > 1e-30 else 0.0
            out[c, n] = fma(mix, w - x, x)
            place = a
        damped[c] = w
    return place


@register
class Delay(Effect):
    """u = x + feedback w, w = damping(u delayed by D = time_ms fs / 1000 samples), out = x + mix (w - x); float32 (channels,
    samples), any rate, each channel alike.

    D is fractional: third-order Lagrange interpolation (T. Laakso et al., "Splitting the unit delay", IEEE Signal
    Processing Magazine 13(1), 1996), at least 2 samples, see ``effective``. Damping is the one-pole
    w[n] = p w[n-1] + (1 - p) v[n], p = exp(-2 pi damping_hz / fs). The default mix is 0: dry.
    """

    name = "delay"
    parameters = (
        Parameter("time_ms", "ms", 1.0, 1000.0, 250.0, "log"),
        Parameter("feedback", "", 0.0, 0.95, 0.35),
        Parameter("damping_hz", "Hz", 500.0, 20000.0, 8000.0, "log"),
        Parameter("mix", "", 0.0, 1.0, 0.0),
    )

    def validate(self, settings: Settings) -> None:
        require_positive(self.name, settings, "time_ms", "damping_hz")
        require_within(self.name, settings, 0.0, 60000.0, "time_ms")
        require_within(self.name, settings, -0.999, 0.999, "feedback")
        require_within(self.name, settings, 0.0, 1.0, "mix")

    def effective(self, settings: Settings, sample_rate: float) -> dict[str, float]:
        full = self.complete(settings)
        return {**full, "time_ms": max(full["time_ms"], MINIMUM_SAMPLES / sample_rate * 1e3)}

    def start(self, settings: Settings, sample_rate: float, channels: int) -> Process:
        samples = max(settings["time_ms"] * 1e-3 * sample_rate, MINIMUM_SAMPLES)
        pole = math.exp(-2.0 * math.pi * settings["damping_hz"] / sample_rate)
        return _DelayProcess(samples, settings["feedback"], pole, settings["mix"], channels)
