"""Keyed randomness: every draw is a pure function of (seed, purpose, identity).

blake2b maps the three to a 128-bit key; numpy's Philox counter generator expands the key into 64-bit words (its raw
stream is stable across versions); a few lines below map words to distributions, because a library's distributions may
change between versions. Results are rounded to nine significant digits, so that a last-bit difference between two
machines' mathematics libraries does not become another recipe.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")

_DIGITS = 9


def digest(*parts: object, size: int = 16) -> bytes:
    """Hash the parts, each with its length, so that ("ab", "c") and ("a", "bc") differ. Returns ``size`` bytes."""
    h = hashlib.blake2b(digest_size=size)
    for part in parts:
        data = part if isinstance(part, bytes) else str(part).encode()
        h.update(len(data).to_bytes(8, "little"))
        h.update(data)
    return h.digest()


def hex_digest(*parts: object, size: int = 16) -> str:
    return digest(*parts, size=size).hex()


def integer(*parts: object) -> int:
    """A uniform 64-bit integer keyed by the parts."""
    return int.from_bytes(digest(*parts, size=8), "little")


def unit(*parts: object) -> float:
    """A uniform number in [0, 1) keyed by the parts, of 53 bits."""
    return (integer(*parts) >> 11) * 2.0**-53


def _round(value: float) -> float:
    if value == 0.0 or not math.isfinite(value):
        return value
    return float(f"{value:.{_DIGITS - 1}e}")


class Draw:
    """The random numbers of one purpose for one identity.

    One purpose string per quantity: a new effect then shifts no other draw.
    """

    def __init__(self, seed: int, purpose: str, identity: str):
        key = np.frombuffer(digest(seed, purpose, identity, size=16), dtype="<u8")
        self._bits = np.random.Philox(key=key, counter=[0, 0, 0, 0])

    def words(self, n: int) -> np.ndarray:
        """The next n 64-bit words, uint64 (n,)."""
        return self._bits.random_raw(n)

    def unit(self) -> float:
        """Uniform in [0, 1), 53 bits."""
        return (int(self._bits.random_raw()) >> 11) * 2.0**-53

    def uniform(self, low: float, high: float) -> float:
        return _round(low + (high - low) * self.unit())

    def log_uniform(self, low: float, high: float) -> float:
        if not 0 < low <= high:
            raise ValueError(f"log-uniform needs 0 < low <= high, got {low} and {high}")
        return _round(low * math.exp(math.log(high / low) * self.unit()))

    def normal(self, mean: float, deviation: float) -> float:
        """Box-Muller; one of the pair is used, which keeps the mapping stateless."""
        u, v = 1.0 - self.unit(), self.unit()
        return _round(mean + deviation * math.sqrt(-2.0 * math.log(u)) * math.cos(2.0 * math.pi * v))

    def chance(self, probability: float) -> bool:
        return self.unit() < probability

    def integer(self, low: int, high: int) -> int:
        """Uniform in low..high, both included."""
        return low + int(self.unit() * (high - low + 1))

    def choice(self, options: Sequence[T], weights: Sequence[float] | np.ndarray | None = None) -> T:
        if weights is None:
            return options[self.integer(0, len(options) - 1)]
        total, x = float(sum(weights)), self.unit()
        running = 0.0
        for option, weight in zip(options, weights, strict=True):
            running += weight / total
            if x < running:
                return option
        return options[-1]
