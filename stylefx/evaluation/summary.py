"""Means with bootstrap 95 % intervals; what is NaN is counted, never averaged in.

The bootstrap is keyed: the same values give the same interval. Items of one group (speaker, album) are not independent, so
groups are resampled as a whole where there are enough of them, else single items; the result says which.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from stylefx.keyed import Draw

RESAMPLES = 1000
MIN_GROUPS = 10
Numbers = Sequence[float] | np.ndarray


@dataclass(frozen=True)
class Summary:
    """Mean of the finite values with its 95 % interval; ``failures`` counts the others."""

    mean: float
    low: float
    high: float
    median: float
    count: int
    failures: int
    resampled: str  # "groups" or "items"

    def to_dict(self) -> dict[str, Any]:
        """Plain data; JSON has no NaN, so null."""
        return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in asdict(self).items()}

    def text(self, digits: int = 3, interval: bool = True) -> str:
        """As in 0.412 [0.392, 0.430], with the number of failures where there are any; without the interval 0.412."""
        if self.count == 0:
            return f"- ({self.failures} failed)" if self.failures else "-"
        places = _decimals(max(abs(self.mean), 0.1 * abs(self.high)), digits)
        text = f"{self.mean:.{places}f}" + (f" [{self.low:.{places}f}, {self.high:.{places}f}]" if interval else "")
        return text + (f" ({self.failures} failed)" if self.failures else "")


def _decimals(value: float, digits: int) -> int:
    """Decimal places that show about ``digits`` significant digits: 0.412, 5.31, 687, 1088."""
    return digits if value == 0 else max(0, min(digits + 1, digits - 1 - math.floor(math.log10(value))))


def summarise(values: Numbers, groups: Sequence[str] | None = None, seed: int = 0) -> Summary:
    """Mean of values (n,); ``groups`` (n,) names what belongs together."""
    return summarise_ratio(values, np.ones(len(values)), groups, seed)


def summarise_ratio(numerators: Numbers, denominators: Numbers, groups: Sequence[str] | None = None, seed: int = 0) -> Summary:
    """sum(numerators) / sum(denominators) over items where both are finite: the ratio of the means, not the mean of ratios."""
    top, bottom = np.asarray(numerators, np.float64), np.asarray(denominators, np.float64)
    good = np.isfinite(top) & np.isfinite(bottom)
    failures = int(len(top) - good.sum())
    top, bottom = top[good], bottom[good]
    if not len(top) or bottom.sum() == 0:
        return Summary(math.nan, math.nan, math.nan, math.nan, 0, failures, "items")
    names = np.asarray(groups, dtype=object)[good] if groups is not None else np.arange(len(top))
    units, member = np.unique(names.astype(str), return_inverse=True)
    resampled = "groups" if groups is not None and len(units) >= MIN_GROUPS else "items"
    if resampled == "groups":
        sums = np.stack([np.bincount(member, weights=w) for w in (top, bottom)])
    else:
        sums = np.stack([top, bottom])
    drawn = _bootstrap(sums, seed)
    low, high = np.percentile(drawn, [2.5, 97.5])
    positive = bottom > 0
    median = float(np.median(top[positive] / bottom[positive]))
    return Summary(float(top.sum() / bottom.sum()), float(low), float(high), median, len(top), failures, resampled)


def _bootstrap(sums: np.ndarray, seed: int) -> np.ndarray:
    """Ratios of 1000 resamples with replacement of the columns of ``sums`` (2, units) -> (1000,)."""
    units = sums.shape[1]
    words = Draw(seed, "bootstrap", str(units)).words(RESAMPLES * units).reshape(RESAMPLES, units)
    index = ((words >> np.uint64(11)).astype(np.float64) * 2.0**-53 * units).astype(np.intp)
    top, bottom = sums[0][index].sum(axis=1), sums[1][index].sum(axis=1)
    return np.divide(top, bottom, out=np.full(RESAMPLES, sums[0].sum() / sums[1].sum()), where=bottom > 0)
