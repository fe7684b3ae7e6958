"""Declared distributions: what a manifest may write wherever a quantity is random.

    -24                                     a constant
    {uniform: [-200, 200]}                  low, high
    {log_uniform: [20, 2000]}               low, high, both positive
    {normal: [0, 6], clip: [-24, 24]}       mean, standard deviation
    {choice: [0.5, 0.707, 1], weights: [1, 2, 1]}

Each may carry ``probability``: below 1 the quantity is drawn only that often and keeps its default otherwise.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, cast

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from stylefx.keyed import Draw

_KINDS = ("constant", "uniform", "log_uniform", "normal", "choice")


class Distribution(BaseModel):
    """One of constant, uniform, log_uniform, normal, choice; and how often it applies."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    constant: float | None = None
    uniform: tuple[float, float] | None = Field(None, description="low, high")
    log_uniform: tuple[float, float] | None = Field(None, description="low, high; both positive")
    normal: tuple[float, float] | None = Field(None, description="mean, standard deviation")
    choice: tuple[float, ...] | None = Field(None, min_length=1)
    weights: tuple[float, ...] | None = Field(None, description="of the choice, any positive scale")
    clip: tuple[float, float] | None = Field(None, description="limits put on what was drawn")
    probability: float = Field(1.0, ge=0.0, le=1.0)

    @model_validator(mode="after")
    def _check(self) -> Distribution:
        kinds = [k for k in _KINDS if getattr(self, k) is not None]
        if len(kinds) != 1:
            raise ValueError(f"give exactly one of {', '.join(_KINDS)}; got {', '.join(kinds) or 'none'}")
        for kind in ("uniform", "log_uniform", "clip"):
            pair = getattr(self, kind)
            if pair is not None and not pair[0] <= pair[1]:
                raise ValueError(f"{kind} needs low <= high, got {list(pair)}")
        if self.log_uniform is not None and self.log_uniform[0] <= 0:
            raise ValueError(f"log_uniform needs positive limits, got {list(self.log_uniform)}")
        if self.normal is not None and self.normal[1] < 0:
            raise ValueError(f"normal needs a deviation >= 0, got {self.normal[1]}")
        if self.weights is not None:
            if self.choice is None or len(self.weights) != len(self.choice):
                raise ValueError("weights belong to a choice of the same length")
            if min(self.weights) < 0 or sum(self.weights) <= 0:
                raise ValueError(f"weights must be >= 0 and not all zero, got {list(self.weights)}")
        numbers = [n for k in (*_KINDS, "clip") for n in np.atleast_1d(getattr(self, k) or 0.0).tolist()]
        if not all(math.isfinite(n) for n in numbers):
            raise ValueError("give finite numbers")
        return self

    def bounds(self) -> tuple[float, float]:
        """The least and the greatest value that can be drawn (infinite for an unclipped normal)."""
        if self.constant is not None:
            low = high = self.constant
        elif self.normal is not None:
            low, high = (-math.inf, math.inf) if self.normal[1] else (self.normal[0], self.normal[0])
        elif self.choice is not None:
            low, high = min(self.choice), max(self.choice)
        else:
            low, high = cast("tuple[float, float]", self.uniform or self.log_uniform)
        if self.clip is not None:
            low, high = min(max(low, self.clip[0]), self.clip[1]), max(min(high, self.clip[1]), self.clip[0])
        return low, high

    def draw(self, draw: Draw) -> float | None:
        """A value, or None where the probability says that the default stays."""
        if self.probability < 1.0 and not draw.chance(self.probability):
            return None
        if self.constant is not None:
            value = self.constant
        elif self.uniform is not None:
            value = draw.uniform(*self.uniform)
        elif self.log_uniform is not None:
            value = draw.log_uniform(*self.log_uniform)
        elif self.normal is not None:
            value = draw.normal(*self.normal)
        else:
            value = draw.choice(self.choice or (), self.weights)
        if self.clip is not None:
            value = min(max(value, self.clip[0]), self.clip[1])
        return float(value)


def _from_number(value: Any) -> Any:
    """``-24`` is short for ``{constant: -24}``."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return {"constant": value}
    return value


#: a distribution, or a plain number
Quantity = Annotated[Distribution, BeforeValidator(_from_number, json_schema_input_type=float | Distribution)]


def map_words(d: Distribution, words: np.ndarray, decimals: int) -> np.ndarray:
    """Vectorised draw for planning: three uint64 words per item, (n, 3) -> float64 (n,), NaN where the default stays.

    Rounded to ``decimals``, so that a last-bit difference between two machines' mathematics libraries changes nothing.
    """
    units = (words >> np.uint64(11)) * 2.0**-53
    u, v = units[:, 1], units[:, 2]
    if d.constant is not None:
        value = np.full(len(u), d.constant)
    elif d.uniform is not None:
        value = d.uniform[0] + (d.uniform[1] - d.uniform[0]) * u
    elif d.log_uniform is not None:
        value = d.log_uniform[0] * np.exp(math.log(d.log_uniform[1] / d.log_uniform[0]) * u)
    elif d.normal is not None:
        value = d.normal[0] + d.normal[1] * np.sqrt(-2.0 * np.log(1.0 - u)) * np.cos(2.0 * math.pi * v)
    else:
        choice = np.asarray(d.choice)
        weights = np.asarray(d.weights or [1.0] * len(choice))
        edges = np.cumsum(weights)[:-1] / weights.sum()
        value = choice[np.searchsorted(edges, u, side="right")]
    if d.clip is not None:
        value = np.clip(value, *d.clip)
    return np.where(units[:, 0] < d.probability, np.round(value, decimals), np.nan)
