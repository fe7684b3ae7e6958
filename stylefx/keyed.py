"""Keyed randomness: every draw is a pure function of (seed, purpose, identity).

blake2b maps the three to a 128-bit key; numpy's Philox counter generator expands the key into 64-bit words (its raw
stream is stable across versions); a few lines below map words to distributions, because a library's distributions may
change between versions. Results are rounded to nine significant digits, so that a last-bit difference between two
machines' mathematics libraries does not become another recipe.
"""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")

_DIGITS = 9
_MASK = (1 << 64) - 1
_FIRST_COUNTER = (1, 0, 0, 0)  # numpy counts on before it makes words


def _append(hashed: hashlib.blake2b, part: object) -> None:
    data = part if isinstance(part, bytes) else str(part).encode()
    hashed.update(len(data).to_bytes(8, "little"))
    hashed.update(data)


def digest(*parts: object, size: int = 16) -> bytes:
    """Hash the parts, each with its length, so that ("ab", "c") and ("a", "bc") differ. Returns ``size`` bytes."""
    hashed = hashlib.blake2b(digest_size=size)
    for part in parts:
        _append(hashed, part)
    return hashed.digest()


@functools.lru_cache(maxsize=1024, typed=True)
def _begun(*parts: object) -> hashlib.blake2b:
    """``digest`` after its first parts, to be copied: what all samples of a corpus have in common."""
    hashed = hashlib.blake2b(digest_size=16)
    for part in parts:
        _append(hashed, part)
    return hashed


def hex_digest(*parts: object, size: int = 16) -> str:
    return digest(*parts, size=size).hex()


def _integer(data: bytes) -> int:
    return int.from_bytes(data, "little")


def integer(*parts: object) -> int:
    """A uniform 64-bit integer keyed by the parts."""
    return _integer(digest(*parts, size=8))


def unit(*parts: object) -> float:
    """A uniform number in [0, 1) keyed by the parts, of 53 bits."""
    return (integer(*parts) >> 11) * 2.0**-53


def philox(counter: tuple[int, int, int, int], key: tuple[int, int]) -> tuple[int, ...]:
    """Four 64-bit words of Philox4x64-10 (Salmon et al., Parallel Random Numbers: As Easy as 1, 2, 3, 2011)."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        p0, p1 = 0xD2E7470EE14C6C93 * c0, 0xCA5A826395121157 * c2
        c0, c1, c2, c3 = (p1 >> 64) ^ c1 ^ k0, p1 & _MASK, (p0 >> 64) ^ c3 ^ k1, p0 & _MASK
        k0, k1 = (k0 + 0x9E3779B97F4A7C15) & _MASK, (k1 + 0xBB67AE8584CAA73B) & _MASK
    return c0, c1, c2, c3


def _round(value: float) -> float:
    if value == 0.0 or not math.isfinite(value):
        return value
    return float(f"{value:.{_DIGITS - 1}e}")


class Draw:
    """The random numbers of one purpose for one identity.

    One purpose string per quantity: a new effect then shifts no other draw.
    """

    def __init__(self, seed: int, purpose: str, identity: str):
        hashed = _begun(seed, purpose).copy()
        _append(hashed, identity)
        self._key = hashed.digest()
        self._first: tuple[int, ...] = ()
        self._taken = 0
        self._bits: np.random.Philox | None = None

    def _generator(self) -> np.random.Philox:
        """numpy's generator, behind the words that were taken without it."""
        if self._bits is None:
            self._bits = np.random.Philox(key=np.frombuffer(self._key, dtype="<u8"), counter=[0, 0, 0, 0])
            self._bits.random_raw(self._taken)
        return self._bits

    def words(self, n: int) -> np.ndarray:
        """The next n 64-bit words, uint64 (n,)."""
        return self._generator().random_raw(n)

    def _word(self) -> int:
        """The next word. Most draws end within the first four: making numpy's generator would take longer than they do."""
        if self._bits is not None or self._taken == len(_FIRST_COUNTER):
            return int(self._generator().random_raw())
        if not self._taken:
            self._first = philox(_FIRST_COUNTER, (_integer(self._key[:8]), _integer(self._key[8:])))
        self._taken += 1
        return self._first[self._taken - 1]

    def unit(self) -> float:
        """Uniform in [0, 1), 53 bits."""
        return (self._word() >> 11) * 2.0**-53

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
