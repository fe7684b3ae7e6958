"""Second-order sections: design from analog prototypes, and response. ``cascade`` runs signals through them.

Design (R. Bristow-Johnson, "Cookbook formulae for audio EQ biquad filter coefficients"): an analog prototype H(s) with
its cutoff at 1 rad/s and the bilinear transform s = (1 / K) (1 - z^-1) / (1 + z^-1), K = tan(pi f0 / fs). Written with K
instead of cos(w0) nothing cancels at low frequencies. On the unit circle s = j t with t = tan(w / 2) / K.
A band whose cutoff lies above 0.9 Nyquist of a rate below 48 kHz becomes two sections instead, see ``low_rate``.
"""

from __future__ import annotations

import math

import numpy as np

from stylefx.effects.kernels.low_rate import REFERENCE_RATE, mapped_sections

KINDS = ("peak", "low_shelf", "high_shelf", "high_pass", "low_pass", "notch", "all_pass")
GAIN_KINDS = ("peak", "low_shelf", "high_shelf")
CLAMP = 0.9  # of Nyquist: the highest cutoff that a section can hold


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
