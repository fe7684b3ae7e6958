"""Second-order sections: design from analog prototypes, response, and the compiled cascade.

Design (R. Bristow-Johnson, "Cookbook formulae for audio EQ biquad filter coefficients"): an analog prototype H(s) with
its cutoff at 1 rad/s and the bilinear transform s = (1 / K) (1 - z^-1) / (1 + z^-1), K = tan(pi f0 / fs). Written with K
instead of cos(w0) nothing cancels at low frequencies. On the unit circle s = j t with t = tan(w / 2) / K.
A band whose cutoff lies above 0.9 Nyquist of a rate below 48 kHz becomes two sections instead, see ``low_rate``.
"""

from __future__ import annotations

import math

import numpy as np

from stylefx.effects.base import Process, as_block
from stylefx.effects.kernels.jit import fma, kernel
from stylefx.effects.kernels.lanes import three_sections_of_two
from stylefx.effects.kernels.low_rate import REFERENCE_RATE, mapped_sections

KINDS = ("peak", "low_shelf", "high_shelf", "high_pass", "low_pass", "notch", "all_pass")
GAIN_KINDS = ("peak", "low_shelf", "high_shelf")
CLAMP = 0.9  # of Nyquist: the highest cutoff that a section can hold

CHUNK = 256  # samples between two looks at the state for values that decay into denormals
TINY = 1e-30
_GROUP = 3  # sections per sample and sweep: enough to hide the latency of the recursion, few enough for the registers


def clamp_cutoff(cutoff_hz: float, sample_rate: float) -> float:
    """The cutoff as rendered: at most 0.9 Nyquist, and at rates below 48 kHz at most that of 48 kHz."""
    return min(cutoff_hz, CLAMP * 0.5 * max(sample_rate, REFERENCE_RATE))


def is_beyond(cutoff_hz: float, sample_rate: float) -> bool:
    """Whether the rate cannot hold the cutoff where it is, and the band is rendered as what it does at 48 kHz."""
    return sample_rate < REFERENCE_RATE and cutoff_hz > CLAMP * 0.5 * sample_rate


def prototype(kind: str, gain_db: float, q: float) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Numerator and denominator of H(s), coefficients of (s^2, s, 1), cutoff at s = j. A = 10^(gain_db / 40)."""
    a = 10.0 ** (gain_db / 40.0)
    root = math.sqrt(a)
    plain = (1.0, 1.0 / q, 1.0)
    if kind == "peak":
        return (1.0, a / q, 1.0), (1.0, 1.0 / (a * q), 1.0)
    if kind == "low_shelf":
        return (a, a * root / q, a * a), (a, root / q, 1.0)
    if kind == "high_shelf":
        return (a * a, a * root / q, a), (1.0, root / q, a)
    if kind == "high_pass":
        return (1.0, 0.0, 0.0), plain
    if kind == "low_pass":
        return (0.0, 0.0, 1.0), plain
    if kind == "notch":
        return (1.0, 0.0, 1.0), plain
    if kind == "all_pass":
        return (1.0, -1.0 / q, 1.0), plain
    raise ValueError(f"no band of kind {kind!r}; known: {', '.join(KINDS)}")


def design(kind: str, cutoff_hz: float, q: float, sample_rate: float, gain_db: float = 0.0) -> list[tuple[float, ...]]:
    """One section, or two for a cutoff that the rate cannot hold: b0, b1, b2, 1, a1, a2."""
    if is_beyond(cutoff_hz, sample_rate):
        warped = _mapped(kind, cutoff_hz, q, sample_rate, gain_db)
        sides = [(_bilinear((s[2], s[1], s[0]), 1.0), _bilinear((s[5], s[4], s[3]), 1.0)) for s in warped]
    else:
        k = math.tan(math.pi * clamp_cutoff(cutoff_hz, sample_rate) / sample_rate)
        numerator, denominator = prototype(kind, gain_db, q)
        sides = [(_bilinear(numerator, k), _bilinear(denominator, k))]
    return [tuple(value / a[0] for value in (*b, *a)) for b, a in sides]


def _mapped(kind: str, cutoff_hz: float, q: float, sample_rate: float, gain_db: float) -> list[tuple[float, ...]]:
    """Two warped sections n0, n1, n2, d0, d1, d2."""
    k = math.tan(math.pi * clamp_cutoff(cutoff_hz, sample_rate) / REFERENCE_RATE)
    numerator, denominator = ((s0 * (k * k), s1 * k, s2 * 1.0) for s2, s1, s0 in prototype(kind, gain_db, q))
    return mapped_sections(kind, numerator, denominator, sample_rate)


def warped_sections(kind: str, cutoff_hz: float, q: float, sample_rate: float, gain_db: float) -> list[tuple[float, ...]]:
    """The band as polynomials of s = j tan(w / 2): n0, n1, n2, d0, d1, d2, ascending powers."""
    if is_beyond(cutoff_hz, sample_rate):
        return _mapped(kind, cutoff_hz, q, sample_rate, gain_db)
    k = math.tan(math.pi * clamp_cutoff(cutoff_hz, sample_rate) / sample_rate)
    sides = prototype(kind, gain_db, q)
    return [tuple(c * p for side in sides for c, p in zip(side[::-1], (k * k, k, 1.0)))]


def _bilinear(coefficients: tuple[float, float, float], k: float) -> tuple[float, float, float]:
    """Of (s^2, s, 1) -> of (1, z^-1, z^-2), up to the common factor k^2 (1 + z^-1)^2."""
    s2, s1, s0 = coefficients
    s1, s0 = s1 * k, s0 * k * k
    return s2 + s1 + s0, 2.0 * (s0 - s2), s2 - s1 + s0


def response(kind: str, freqs_hz: np.ndarray, cutoff_hz: float, q: float, sample_rate: float, gain_db: float = 0.0) -> np.ndarray:
    """Complex response of a band at ``freqs_hz`` (any shape, 0..Nyquist), from the prototype: exact where the
    digital coefficients would cancel."""
    # Through half angles both as sine and cosine, so that Nyquist (t infinite) needs no exception.
    half = np.pi * np.asarray(freqs_hz, dtype=np.float64) / sample_rate
    if is_beyond(cutoff_hz, sample_rate):
        k, sides = 1.0, [((s[2], s[1], s[0]), (s[5], s[4], s[3])) for s in _mapped(kind, cutoff_hz, q, sample_rate, gain_db)]
    else:
        k = math.tan(math.pi * clamp_cutoff(cutoff_hz, sample_rate) / sample_rate)
        sides = [prototype(kind, gain_db, q)]
    sine, cosine, total = np.sin(half), k * np.cos(half), np.array(1.0)
    for pair in sides:
        num, den = (s0 * cosine**2 - s2 * sine**2 + 1j * s1 * sine * cosine for s2, s1, s0 in pair)
        total = num / den if len(sides) == 1 else total * (num / den)
    return total


def step_form(sos: np.ndarray) -> np.ndarray:
    """(sections, 6) -> what ``cascade`` takes, float64 (multiple of 3, 5): b0, b1 - a1 b0, b2 - a2 b0, -a1, -a2.

    In this form only one multiply-add lies between a state and its next value. Neutral sections (numerator equal to
    denominator) pass every sample unchanged and are left out; the last group is filled with such.
    """
    rows = []
    for b0, b1, b2, a0, a1, a2 in np.asarray(sos, dtype=np.float64).reshape(-1, 6).tolist():
        b0, b1, b2, a1, a2 = b0 / a0, b1 / a0, b2 / a0, a1 / a0, a2 / a0
        row = (b0, b1 - a1 * b0, b2 - a2 * b0, -a1, -a2)
        if row[:3] != (1.0, 0.0, 0.0):
            rows.append(row)
    rows += [(1.0, 0.0, 0.0, 0.0, 0.0)] * (-len(rows) % _GROUP)
    return np.array(rows).reshape(-1, 5)


@kernel
def cascade(audio, out, steps, state, position):
    """All sections over all channels. audio, out (channels, n), float32 or float64; steps from ``step_form``;
    state float64 (channels, sections, 2), updated; position = samples before this block, for the flushing only."""
    channels, n = audio.shape
    buffer = np.empty(CHUNK)
    for c in range(0, channels - 1, 2):
        _two_channels(audio, out, steps, state, position, c)
    for c in range(channels - channels % 2, channels):
        start, begin = 0, position
        while start < n:
            size = min(CHUNK - begin % CHUNK, n - start)
            for i in range(size):
                buffer[i] = audio[c, start + i]
            for g in range(0, steps.shape[0], 3):
                _three(buffer, size, steps[g], steps[g + 1], steps[g + 2], state[c, g], state[c, g + 1], state[c, g + 2])
            for i in range(size):
                out[c, start + i] = buffer[i]
            start += size
            begin += size
            if begin % CHUNK == 0:
                _flush(state[c])


@kernel
def _two_channels(audio, out, steps, state, position, c):
    """Channels c and c + 1, side by side: the same bits in half the time."""
    n, sections = audio.shape[1], steps.shape[0]
    buffer, fixed, held = np.empty((CHUNK, 2)), np.empty((sections, 5, 2)), np.empty((sections, 2, 2))
    for lane in range(2):
        fixed[:, :, lane], held[:, :, lane] = steps, state[c + lane]
    samples = np.int64(buffer.ctypes.data)
    start, begin = 0, position
    while start < n:
        size = min(CHUNK - begin % CHUNK, n - start)
        for i in range(size):
            buffer[i, 0], buffer[i, 1] = audio[c, start + i], audio[c + 1, start + i]
        for g in range(0, sections, 3):
            three_sections_of_two(samples, np.int64(size), np.int64(fixed[g].ctypes.data), np.int64(held[g].ctypes.data))
        for i in range(size):
            out[c, start + i], out[c + 1, start + i] = buffer[i, 0], buffer[i, 1]
        start += size
        begin += size
        if begin % CHUNK == 0:
            _flush(held[:, :, 0])
            _flush(held[:, :, 1])
    for lane in range(2):
        state[c + lane] = held[:, :, lane]


@kernel
def _flush(state):
    """States (sections, 2) that decay into denormals become zero."""
    for s in range(state.shape[0]):
        if abs(state[s, 0]) < TINY and abs(state[s, 1]) < TINY:
            state[s, 0] = 0.0
            state[s, 1] = 0.0


@kernel
def _three(buffer, size, p, q, r, state_p, state_q, state_r):
    """Three sections in series, in place."""
    p0, p1, p2, p3, p4 = p[0], p[1], p[2], p[3], p[4]
    q0, q1, q2, q3, q4 = q[0], q[1], q[2], q[3], q[4]
    r0, r1, r2, r3, r4 = r[0], r[1], r[2], r[3], r[4]
    p_a, p_b = state_p[0], state_p[1]
    q_a, q_b = state_q[0], state_q[1]
    r_a, r_b = state_r[0], state_r[1]
    for i in range(size):
        x = buffer[i]
        y = fma(p0, x, p_a)
        p_a, p_b = fma(p3, p_a, fma(p1, x, p_b)), fma(p4, p_a, p2 * x)
        z = fma(q0, y, q_a)
        q_a, q_b = fma(q3, q_a, fma(q1, y, q_b)), fma(q4, q_a, q2 * y)
        buffer[i] = fma(r0, z, r_a)
        r_a, r_b = fma(r3, r_a, fma(r1, z, r_b)), fma(r4, r_a, r2 * z)
    state_p[0], state_p[1] = p_a, p_b
    state_q[0], state_q[1] = q_a, q_b
    state_r[0], state_r[1] = r_a, r_b


class CascadeProcess(Process):
    """A stream through second-order sections (sections, 6), the same for every channel; float64 state.

    ``dtype`` is that of the output: float32, or float64 for a stage inside another effect.
    """

    def __init__(self, sos: np.ndarray, channels: int, dtype: type = np.float32):
        self._steps = step_form(sos)
        self._state = np.zeros((channels, len(self._steps), 2))
        self._position = 0
        self._dtype = dtype

    def __call__(self, block: np.ndarray) -> np.ndarray:
        if len(self._steps) == 0:
            return block.astype(self._dtype)
        out: np.ndarray = np.empty(block.shape, self._dtype)
        cascade(as_block(block), out, self._steps, self._state, self._position)
        self._position += block.shape[1]
        return out
