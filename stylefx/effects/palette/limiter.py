"""Look-ahead limiter: no sample above the ceiling, and a gain without corners."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from stylefx.effects.base import Effect, Process, Settings, as_block
from stylefx.effects.checks import require_positive
from stylefx.effects.kernels.dynamics import Reduction, apply_reduction, gain_line, reduce_level
from stylefx.effects.kernels.jit import kernel
from stylefx.effects.kernels.sliding import SlidingPeak
from stylefx.effects.parameters import Parameter
from stylefx.effects.registry import register
from stylefx.errors import UserError

STEPS_PER_DB = 2.0**24  # the moving averages add integers: they neither drift nor depend on the order


def boxes(lookahead: int) -> tuple[int, int]:
    """Lengths of the two moving averages, together as long as the look-ahead: n1 + n2 - 1 = lookahead + 1 samples."""
    return lookahead // 2 + 1, lookahead - lookahead // 2 + 1


class _LimiterProcess(Process):
    def __init__(
        self, reduction: Reduction, gain_db: float, ceiling_db: float, lookahead: int, sample_rate: float, channels: int
    ):
        self.latency = lookahead
        self._held = SlidingPeak(lookahead + 1)
        self._curve, self._smoother = reduction.curve(), reduction.smoother(sample_rate)
        self._state_db, self._position = 0.0, 0
        self._rings = [np.zeros(n, np.int64) for n in boxes(lookahead)]
        self._sums = np.zeros(2, np.int64)
        self._gain = gain_line(gain_db)
        ceiling = np.float32(10.0 ** (ceiling_db / 20.0))
        above = float(ceiling) > 10.0 ** (ceiling_db / 20.0)
        self._ceiling = np.nextafter(ceiling, np.float32(0)) if above else ceiling
        self._delayed = np.zeros((channels, lookahead), np.float32)

    def __call__(self, block: np.ndarray) -> np.ndarray:
        n = block.shape[1]
        reduction = np.empty(n)
        held = self._held(block)
        self._state_db = reduce_level(held, reduction, self._curve, self._smoother, self._state_db, self._position)
        average_twice(reduction, *self._rings, self._sums, self._position)
        self._position += n
        audio = np.concatenate([self._delayed, block], axis=1)
        self._delayed = audio[:, n:].copy()
        out = np.empty(block.shape, np.float32)
        apply_reduction(as_block(audio[:, :n]), reduction, out, self._gain)
        return np.clip(out, -self._ceiling, self._ceiling, out=out)


@kernel
def average_twice(values, ring_a, ring_b, sums, position):
    """Two moving averages in a row over values float64 (n,), in place; integer arithmetic in steps of 2^-24 dB."""
    a, b = ring_a.shape[0], ring_b.shape[0]
    i, j = position % a, position % b
    sum_a, sum_b = sums[0], sums[1]
    for n in range(values.shape[0]):
        new = np.int64(values[n] * STEPS_PER_DB + 0.5)
        sum_a += new - ring_a[i]
        ring_a[i] = new
        sum_b += sum_a - ring_b[j]
        ring_b[j] = sum_a
        values[n] = sum_b / (STEPS_PER_DB * a * b)
        i = i + 1 if i + 1 < a else 0
        j = j + 1 if j + 1 < b else 0
    sums[0], sums[1] = sum_a, sum_b


@register
class Limiter(Effect):
    """Gain into a brick wall on the sample peaks; float32 (channels, samples), any rate, channels linked by their maximum.

    With N = round(lookahead_ms fs / 1000) (``lookahead_ms`` is a setting of the effect, so that the latency N is fixed):
    r = max(0, level + gain - ceiling) in dB, held for N + 1 samples; released as y[n] = max(r, a y[n-1] + (1 - a) r) with
    a = exp(-ln 9 / (fs release)); s = y averaged over ``boxes(N)`` samples, twice; output x[n - N] 10^((gain - s) / 20).
    Every average covers the held peak only, so s >= r there and no sample passes the ceiling (P. Hamalainen, "Smoothing of
    the control signal without clipped output in digital peak limiters", DAFx 2002); the last float32 rounding is clipped.
    """

    name = "limiter"
    parameters = (
        Parameter("gain_db", "dB", 0.0, 24.0, 0.0),
        Parameter("ceiling_db", "dB", -24.0, 0.0, 0.0),
        Parameter("release_ms", "ms", 5.0, 1000.0, 50.0, "log"),
    )

    def __init__(self, lookahead_ms: float = 5.0):
        if not (math.isfinite(lookahead_ms) and 0.0 < lookahead_ms <= 100.0):
            raise UserError(f"limiter: lookahead_ms is {lookahead_ms}; give a time above 0, at most 100 ms")
        self.lookahead_ms = float(lookahead_ms)

    def config(self) -> dict[str, Any]:
        return {"lookahead_ms": self.lookahead_ms}

    def validate(self, settings: Settings) -> None:
        require_positive(self.name, settings, "release_ms")

    def lookahead(self, sample_rate: float) -> int:
        """N in samples, at least 1."""
        return max(1, round(self.lookahead_ms * 1e-3 * sample_rate))

    def start(self, settings: Settings, sample_rate: float, channels: int) -> Process:
        gain_db, ceiling_db = settings["gain_db"], settings["ceiling_db"]
        reduction = Reduction(
            upper=True,
            threshold_db=ceiling_db - gain_db,
            slope=1.0,
            knee_db=0.0,
            limit_db=math.inf,
            rise_ms=0.0,
            fall_ms=settings["release_ms"],
        )
        return _LimiterProcess(reduction, gain_db, ceiling_db, self.lookahead(sample_rate), sample_rate, channels)
