"""Saturation: a hyperbolic tangent, oversampled four times against aliasing."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from stylefx.effects.base import Effect, Process, Settings, as_block
from stylefx.effects.checks import require_positive, require_within
from stylefx.effects.kernels.biquad import clamp_cutoff, design
from stylefx.effects.kernels.cascade import CascadeProcess
from stylefx.effects.kernels.jit import fma, kernel
from stylefx.effects.parameters import Parameter
from stylefx.effects.registry import register

OVERSAMPLING = 4
REACH = 16  # of the interpolation filter to either side, in samples
LATENCY = 2 * REACH
DC_BLOCK_HZ = 5.0
CHUNK = 512


@lru_cache(maxsize=1)
def oversampling_filter() -> np.ndarray:
    """The low-pass at four times the rate, float64 (129,): a sinc with its zeros at the input's samples, Kaiser window of
    beta 9 (90 dB). Interpolation is 4 h * (zero-stuffed x), decimation every fourth sample of h * w."""
    m = np.arange(-REACH * OVERSAMPLING, REACH * OVERSAMPLING + 1)
    taps = np.sinc(m / OVERSAMPLING) / OVERSAMPLING * np.kaiser(len(m), 9.0)
    taps[m % OVERSAMPLING == 0] = 0.0
    taps[len(m) // 2] = 1.0 / OVERSAMPLING
    return taps


class _SaturationProcess(Process):
    latency = LATENCY

    def __init__(self, drive: float, bias: float, sections: np.ndarray, mix: float, channels: int):
        rest = np.zeros(1)
        _shape(rest, (drive, bias, 0.0, 1.0), 1)  # the kernel's own tanh(bias), so that silence stays silent to the bit
        self._shape = (drive, bias, float(rest[0]), 1.0 / math.tanh(drive))
        self._filter = CascadeProcess(sections, channels, np.float64)
        self._mix = mix
        self._inputs = np.zeros((channels, LATENCY))
        self._shaped = np.zeros((channels, OVERSAMPLING, LATENCY))

    def __call__(self, block: np.ndarray) -> np.ndarray:
        n = block.shape[1]
        wet = np.empty(block.shape)
        audio = np.concatenate([self._inputs, block], axis=1)
        self._inputs = audio[:, n:].copy()
        saturate(as_block(audio), wet, self._shaped, oversampling_filter(), self._shape)
        return ((1.0 - self._mix) * audio[:, :n] + self._mix * self._filter(wet)).astype(np.float32)


@kernel
def saturate(audio, out, shaped, taps, shape):
    """audio float64 (channels, 32 + n), out float64 (channels, n); shaped (channels, 4, 32): the last oversampled values,
    phase by phase, updated. Loops run over samples inside, over taps outside: they vectorise, in a fixed order of sums."""
    phases = np.empty((4, 32 + CHUNK))
    for c in range(out.shape[0]):
        phases[:, :32] = shaped[c]
        start = 0
        while start < out.shape[1]:
            size = min(CHUNK, out.shape[1] - start)
            x = audio[c, start : start + 32 + size]
            y = out[c, start : start + size]
            for p in range(4):
                u = phases[p, 32 : 32 + size]
                if p == 0:
                    u[:] = x[16 : 16 + size]
                else:
                    u[:] = 0.0
                    for k in range(0, 32, 4):
                        _add_four(u, 4.0 * taps[p + 4 * k : p + 4 * k + 13 : 4], x[29 - k : 32 - k + size], size)
                _shape(u, shape, size)
            for i in range(size):
                y[i] = taps[64] * phases[0, 16 + i]
            for p in range(1, 4):
                for k in range(1, 33, 4):
                    _add_four(y, taps[4 * k - p : 4 * k - p + 13 : 4], phases[p, 29 - k : 32 - k + size], size)
            for p in range(4):
                for i in range(32):
                    phases[p, i] = phases[p, size + i]
            start += size
        shaped[c] = phases[:, :32]


@kernel
def _add_four(total, taps, values, size):
    """total[i] += sum_k taps[k] values[i + 3 - k]"""
    a, b, c, d = taps[0], taps[1], taps[2], taps[3]
    for i in range(size):
        total[i] = fma(a, values[i + 3], fma(b, values[i + 2], fma(c, values[i + 1], fma(d, values[i], total[i]))))


@kernel
def _shape(u, shape, size):
    """u -> (tanh(drive u + bias) - tanh(bias)) / tanh(drive), in place. tanh z = -e / (2 + e), e = exp(-2 |z|) - 1 from a
    polynomial (exact to 1e-12) that keeps its relative precision near 0."""
    drive, bias, offset, scale = shape
    for i in range(size):
        z = fma(drive, u[i], bias)
        octaves = max(-2.0 * 1.4426950408889634 * abs(z), -60.0)
        whole = np.floor(octaves + 0.5)
        f = octaves - whole
        series = fma(f, 1.3259691743114984e-06, 1.5310081589973446e-05)
        series = fma(f, series, 0.00015403433532200746)
        series = fma(f, series, 0.0013333450558785471)
        series = fma(f, series, 0.00961812919425616)
        series = fma(f, series, 0.05550410941217134)
        series = fma(f, series, 0.2402265069563897)
        series = f * fma(f, series, 0.6931471805599453)
        power = 1.0 / np.float64(np.int64(1) << np.int64(-whole))
        e = fma(power, series, power - 1.0)
        tanh = -e / (2.0 + e)
        u[i] = ((tanh if z > 0.0 else -tanh) - offset) * scale


@register
class Saturation(Effect):
    """wet = tone((tanh(drive x + bias) - tanh(bias)) / tanh(drive)), drive = 10^(drive_db / 20), so that full scale stays about
    full scale; out = (1 - mix) x + mix wet. float32 (channels, samples), any rate, each channel alike; latency 32 samples.

    The tangent works on four times the rate between two linear-phase filters (``oversampling_filter``; J. O. Smith,
    "Digital audio resampling", windowed sinc), as products above the new Nyquist frequency would fold back. ``tone`` is a
    Butterworth low-pass at tone_hz (above 0.9 Nyquist: what it does at 48 kHz, see ``kernels.low_rate``) and a high-pass at
    5 Hz that takes away the DC of an asymmetric bias. The default mix is 0: dry.
    """

    name = "saturation"
    parameters = (
        Parameter("drive_db", "dB", 0.0, 48.0, 0.0),
        Parameter("bias", "", -1.0, 1.0, 0.0),
        Parameter("tone_hz", "Hz", 500.0, 20000.0, 20000.0, "log"),
        Parameter("mix", "", 0.0, 1.0, 0.0),
    )

    def validate(self, settings: Settings) -> None:
        require_positive(self.name, settings, "tone_hz")
        require_within(self.name, settings, 0.0, 1.0, "mix")
        require_within(self.name, settings, -120.0, 120.0, "drive_db")

    def effective(self, settings: Settings, sample_rate: float) -> dict[str, float]:
        full = self.complete(settings)
        return {**full, "tone_hz": clamp_cutoff(full["tone_hz"], sample_rate)}

    def sections(self, settings: Settings, sample_rate: float) -> np.ndarray:
        """The tone filter, float64 (2, 6), or (3, 6) where the rate cannot hold tone_hz."""
        q, tone_hz = math.sqrt(0.5), settings["tone_hz"]
        return np.array([*design("high_pass", DC_BLOCK_HZ, q, sample_rate), *design("low_pass", tone_hz, q, sample_rate)])

    def start(self, settings: Settings, sample_rate: float, channels: int) -> Process:
        drive = 10.0 ** (settings["drive_db"] / 20.0)
        return _SaturationProcess(drive, settings["bias"], self.sections(settings, sample_rate), settings["mix"], channels)
