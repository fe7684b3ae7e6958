"""Feed-forward dynamics: level, static curve, branching smoother, gain (D. Giannoulis, M. Massberg, J. D. Reiss, "Digital
dynamic range compressor design", JAES 60(6), 2012).

    level      L[n] = 20 log10 max_c |x[c, n]|, floor -96 dB: one side chain for all channels
    overshoot  d = L - T (downward above the threshold, as in a compressor) or T - L (below it, as in an expander)
    soft knee  k(d) = 0 below -W/2, (d + W/2)^2 / (2 W) inside, d above W/2
    reduction  r = min(slope k(d), limit), in dB
    smoother   y[n] = a y[n-1] + (1 - a) r[n], a = a_rise when r[n] > y[n-1], else a_fall; a = exp(-ln 9 / (fs t)):
               a step is covered from 10 % to 90 % in t
    output     x 10^((M - y) / 20)

The branch needs no comparison of r and y: with p and q the two updates, y[n] = max(p, q) when a_rise <= a_fall, else
min(p, q). Logarithm and power are polynomials of our own in loops without carried state, exact to 3e-12: they vectorise,
and give the same bits on every processor.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from stylefx.effects.base import Process, as_block
from stylefx.effects.kernels.jit import fma, kernel
from stylefx.effects.kernels.sliding import SlidingPeak
from stylefx.effects.kernels.smoothed import LOG2, WIDTH, smoothed_reductions

LEVEL_FLOOR_DB = -96.0
CHUNK = 1024
TINY_DB = 1e-30
DB_PER_OCTAVE = 20.0 * math.log10(2.0)


def smoothing(time_ms: float, sample_rate: float) -> tuple[float, float]:
    """(a, 1 - a) of a one-pole that covers 10 % to 90 % of a step in ``time_ms``; at 0 it follows at once."""
    if time_ms == 0.0:
        return 0.0, 1.0
    exponent = -math.log(9.0) / (sample_rate * time_ms * 1e-3)
    return math.exp(exponent), -math.expm1(exponent)


def soft_knee(overshoot_db: np.ndarray, knee_db: float) -> np.ndarray:
    """k(d), dB -> dB, any shape, knee_db >= 0: convex, continuous, with a continuous slope when knee_db > 0."""
    inside = np.clip(overshoot_db + 0.5 * knee_db, 0.0, knee_db)
    quadratic = inside**2 / (2.0 * knee_db) if knee_db > 0 else 0.0
    return quadratic + np.maximum(overshoot_db - 0.5 * knee_db, 0.0)


@dataclass(frozen=True)
class Reduction:
    """A static curve and a smoother. ``upper``: reduce above the threshold; else below it. ``slope`` dB of reduction per dB
    of overshoot, at most ``limit_db``; ``rise_ms`` and ``fall_ms`` are the times in which it rises and falls."""

    upper: bool
    threshold_db: float
    slope: float
    knee_db: float
    limit_db: float
    rise_ms: float
    fall_ms: float

    def curve(self) -> tuple[float, ...]:
        """What the kernels take as ``curve``: levels there are in octaves."""
        sign = 1.0 if self.upper else -1.0
        inverse = 0.5 / self.knee_db if self.knee_db > 0 else 0.0
        return sign * DB_PER_OCTAVE, -sign * self.threshold_db, 0.5 * self.knee_db, inverse, self.slope, self.limit_db

    def smoother(self, sample_rate: float) -> tuple[float, ...]:
        return (*smoothing(self.rise_ms, sample_rate), *smoothing(self.fall_ms, sample_rate))

    def steady_db(self, levels_db: np.ndarray) -> np.ndarray:
        """The reduction of a steady level, dB -> dB, any shape."""
        overshoot = (levels_db - self.threshold_db) * (1.0 if self.upper else -1.0)
        return np.minimum(self.slope * soft_knee(overshoot, self.knee_db), self.limit_db)


def gain_line(gain_db: float) -> tuple[float, float]:
    """Reduction in dB -> octaves of gain, as the kernels take it: slope and offset."""
    return -1.0 / DB_PER_OCTAVE, gain_db / DB_PER_OCTAVE


class DynamicsProcess(Process):
    """A stream with one gain for all channels. With ``hold`` > 1 the level is the largest of the last ``hold`` samples."""

    def __init__(self, reduction: Reduction, gain_db: float, sample_rate: float, dtype: type = np.float32, hold: int = 1):
        self.curve, self.smoother = reduction.curve(), reduction.smoother(sample_rate)
        self.gain = gain_line(gain_db)
        self.held = SlidingPeak(hold) if hold > 1 else None
        self.state_db, self.position = 0.0, 0
        self.dtype = dtype

    def __call__(self, block: np.ndarray) -> np.ndarray:
        block = as_block(block)
        side = block if self.held is None else self.held(block)
        out: np.ndarray = np.empty(block.shape, self.dtype)
        self.state_db = dynamics(block, side, out, self.curve, self.smoother, self.gain, self.state_db, self.position)
        self.position += block.shape[1]
        return out


@kernel
def dynamics(audio, side, out, curve, smoother, gain, y, position):
    """audio, out (channels, n), side (any channels, n), float32 or float64; returns the state y, the reduction in dB after
    the last sample. ``position`` = samples before this block, for the flushing only."""
    n = audio.shape[1]
    work, scale = np.empty(CHUNK), np.empty(CHUNK, np.float32)
    start = 0
    while start < n:
        size = min(CHUNK - position % CHUNK, n - start)
        y = reduce_level(side[:, start : start + size], work[:size], curve, smoother, y, position)
        gains_of(work[:size], scale.view(np.int32), gain)
        for c in range(audio.shape[0]):
            multiply(audio[c, start : start + size], work, scale, out[c, start : start + size])
        start += size
        position += size
    return y


@kernel
def reduce_level(side, out, curve, smoother, y, position):
    """The first half of ``dynamics``: the smoothed reduction in dB, out float64 (n,); returns the state."""
    n = side.shape[1]
    peak = np.zeros(CHUNK + WIDTH, np.float32)
    constants = np.array((*curve, *smoother))
    start = 0
    while start < n:
        size = min(CHUNK - position % CHUNK, n - start)
        part = out[start : start + size]
        peaks_of(side[:, start : start + size], peak)
        whole = np.int64(size - size % WIDTH)
        places = np.int64(constants.ctypes.data), np.int64(constants[6:].ctypes.data), np.int64(part.ctypes.data)
        y = smoothed_reductions(np.int64(peak.ctypes.data), whole, *places, y)
        if whole < size:
            reductions_of(peak[whole:size].view(np.int32), part[whole:], curve)
            y = smooth(part[whole:], smoother, y)
        start += size
        position += size
        if position % CHUNK == 0 and y < TINY_DB:
            y = 0.0
    constants[0] = 0.0  # they must last until here
    return y


@kernel
def apply_reduction(audio, reduction, out, gain):
    """The second half: audio, out (channels, n), reduction float64 (n,) in dB, overwritten."""
    scale = np.empty(reduction.shape[0], np.float32)
    gains_of(reduction, scale.view(np.int32), gain)
    for c in range(audio.shape[0]):
        multiply(audio[c], reduction, scale, out[c])


@kernel
def multiply(audio, gains, scale, out):
    """One channel. These arrays begin where the samples do: LLVM sees no index below 0, and makes vectors."""
    for i in range(len(audio)):
        out[i] = audio[i] * (gains[i] * scale[i])


@kernel
def peaks_of(side, peak):
    """max over the channels of |x|, not below the floor."""
    floor = np.float32(10.0 ** (-96.0 / 20.0))
    one = side[0]
    for i in range(len(one)):
        x = np.float32(abs(one[i]))
        peak[i] = x if x > floor else floor
    for c in range(1, side.shape[0]):
        other = side[c]
        for i in range(len(other)):
            x = np.float32(abs(other[i]))
            peak[i] = x if x > peak[i] else peak[i]


@kernel
def reductions_of(peak_bits, work, curve):
    """Levels and static curve. log2 of a normal float32 2^e m with m in [2/3, 4/3) from its bits: e + s P(s^2),
    s = (m - 1) / (m + 1)."""
    unit, offset, half_knee, inverse, slope, limit = curve
    for i in range(len(work)):
        bits = np.int32(peak_bits[i])
        exponent = np.int32(np.int32(bits - np.int32(0x3F2AAAAB)) >> np.int32(23))
        # The mantissa as an integer, exact: m = 2^23-th parts.
        mantissa = np.int32(bits - np.int32(exponent << np.int32(23))) - np.int32(0x3F000000)
        # 0x3F000000..0x3F7FFFFF is [0.5, 1) in steps of 2^-24, 0x3F800000.. is [1, 2) in steps of 2^-23.
        m = 0.5 + mantissa * 2.0**-24 if mantissa < 0x800000 else 1.0 + (mantissa - 0x800000) * 2.0**-23
        s = (m - 1.0) / (m + 1.0)
        u = s * s
        series = LOG2[0]
        for k in range(1, len(LOG2)):
            series = fma(u, series, LOG2[k])
        d = unit * (exponent + s * series) + offset
        inside = min(max(d + half_knee, 0.0), 2.0 * half_knee)
        above = max(d - half_knee, 0.0)
        work[i] = min(slope * (inside * inside * inverse + above), limit)


@kernel
def smooth(work, smoother, y):
    """The branching smoother, in place; returns its state."""
    a_rise, b_rise, a_fall, b_fall = smoother
    if a_rise <= a_fall:
        for i in range(len(work)):
            r = work[i]
            p, q = fma(a_rise, y, b_rise * r), fma(a_fall, y, b_fall * r)
            y = p if p > q else q
            work[i] = y
    else:
        for i in range(len(work)):
            r = work[i]
            p, q = fma(a_rise, y, b_rise * r), fma(a_fall, y, b_fall * r)
            y = p if p < q else q
            work[i] = y
    return y


@kernel
def gains_of(work, scale_bits, gain):
    """Reduction in dB -> work * scale, a power of two in [0.7, 1.4] times one that is exact in float32."""
    per_db, makeup = gain
    for i in range(len(work)):
        z = min(max(fma(work[i], per_db, makeup), -126.0), 126.0)
        whole = np.floor(z + 0.5)
        f = z - whole
        series = fma(f, 1.3259691743114984e-06, 1.5310081589973446e-05)
        series = fma(f, series, 0.00015403433532200746)
        series = fma(f, series, 0.0013333450558785471)
        series = fma(f, series, 0.00961812919425616)
        series = fma(f, series, 0.05550410941217134)
        series = fma(f, series, 0.2402265069563897)
        series = fma(f, series, 0.6931471805459296)
        work[i] = fma(f, series, 1.0)
        scale_bits[i] = np.int32(np.int32(whole) + np.int32(127)) << np.int32(23)
