"""Drawn equaliser curves over bands, as people make them: nothing, telephone-like band passes, shelves and peaks."""

from __future__ import annotations

import numpy as np

from stylefx.keyed import Draw

_NOTHING, _TELEPHONE = 0.15, 0.10
_SIZES_DB = np.array([4.0, 8.0, 12.0])
_LOWEST_DB = -45.0
_KNOTS = 9


def units(draw: Draw, *shape: int) -> np.ndarray:
    """Uniform in [0, 1), 53 bits, float64 of this shape."""
    return ((draw.words(int(np.prod(shape))) >> np.uint64(11)).astype(np.float64) * 2.0**-53).reshape(shape)


def draw_curves(draw: Draw, count: int, centres_hz: np.ndarray) -> np.ndarray:
    """Curves in dB of mean zero, float64 (count, bands)."""
    kind = units(draw, count, 1)
    curves = np.where(kind < _NOTHING + _TELEPHONE, _telephone(draw, count, centres_hz), _produced(draw, count, centres_hz))
    curves = np.where(kind < _NOTHING, 0.0, curves)
    return curves - curves.mean(axis=1, keepdims=True)


def _between(draw: Draw, count: int, low: float, high: float) -> np.ndarray:
    """(count, 1), uniform."""
    return low + (high - low) * units(draw, count, 1)


def _frequency(draw: Draw, count: int, low: float, high: float) -> np.ndarray:
    return low * (high / low) ** units(draw, count, 1)


def _telephone(draw: Draw, count: int, hz: np.ndarray) -> np.ndarray:
    low, high = _frequency(draw, count, 150, 500), _frequency(draw, count, 2500, 6000)
    slopes = -10 * np.log10(1 + (low / hz) ** 4) - 10 * np.log10(1 + (hz / high) ** 4)
    return np.maximum(slopes + _between(draw, count, 0, 12) / (1 + np.log2(hz / 1500.0) ** 2), _LOWEST_DB)


def _produced(draw: Draw, count: int, hz: np.ndarray) -> np.ndarray:
    """A low and a high shelf, each in four of five cases, and up to two peaks."""
    size = _SIZES_DB[(units(draw, count, 1) * 3).astype(int)]

    def gain_db(probability: float) -> np.ndarray:
        return np.where(units(draw, count, 1) < probability, size * _between(draw, count, -1, 1), 0.0)

    curve = gain_db(0.8) / (1 + 4 ** np.log2(hz / _frequency(draw, count, 80, 500)))
    curve += gain_db(0.8) / (1 + 4 ** -np.log2(hz / _frequency(draw, count, 1500, 8000)))
    for probability in (2 / 3, 1 / 3):
        octaves = np.log2(hz / _frequency(draw, count, 150, 8000))
        curve += gain_db(probability) / (1 + (octaves / _between(draw, count, 0.3, 1.2)) ** 2)
    return curve


def smooth_curves(draw: Draw, count: int, bands: int, deviation_db: float) -> np.ndarray:
    """Random smooth curves, float64 (count, bands): recordings differ by more than by their groups."""
    u, v = units(draw, count, _KNOTS), units(draw, count, _KNOTS)
    knots = np.sqrt(-2 * np.log(1 - u)) * np.cos(2 * np.pi * v) * deviation_db
    place = np.linspace(0, _KNOTS - 1, bands)
    left = np.floor(place).astype(int).clip(0, _KNOTS - 2)
    share = place - left
    share = share * share * (3 - 2 * share)
    return knots[:, left] * (1 - share) + knots[:, left + 1] * share
