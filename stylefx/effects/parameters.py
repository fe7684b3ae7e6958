"""What a knob is: name, unit, range, scale, default, and its map to a control in [0, 1].

The range binds the control, not the render: an effect renders any physically valid value. Ranges are fixed in physical
units and never derived from a file's sample rate.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Parameter:
    """One parameter of an effect.

    ``scale`` "linear": value = minimum + control (maximum - minimum);
    "log": value = minimum (maximum / minimum) ** control, for frequencies, Q, ratios and times.
    """

    name: str
    unit: str
    minimum: float
    maximum: float
    default: float
    scale: Literal["linear", "log"] = "linear"

    def __post_init__(self) -> None:
        if not self.minimum < self.maximum or not self.minimum <= self.default <= self.maximum:
            raise ValueError(f"{self.name}: need minimum < maximum with the default between, got {self}")
        if self.scale == "log" and self.minimum <= 0:
            raise ValueError(f"{self.name}: a logarithmic range must be positive, got {self.minimum}")

    def to_control(self, value: float) -> float:
        """Physical value -> control, clipped to [0, 1]."""
        if self.scale == "log":
            if value <= 0:
                return 0.0
            control = math.log(value / self.minimum) / math.log(self.maximum / self.minimum)
        else:
            control = (value - self.minimum) / (self.maximum - self.minimum)
        return min(max(control, 0.0), 1.0)

    def from_control(self, control: float) -> float:
        """Control in [0, 1] -> physical value."""
        if self.scale == "log":
            return self.minimum * math.exp(control * math.log(self.maximum / self.minimum))
        return self.minimum + control * (self.maximum - self.minimum)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)
