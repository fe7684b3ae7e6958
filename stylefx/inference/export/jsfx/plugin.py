"""A JSFX plug-in while it is written: sliders, library functions, and the code of its sections in the order of the chain."""

from __future__ import annotations

from dataclasses import dataclass, field

from stylefx.effects.parameters import Parameter
from stylefx.foreign.stages import number

_STEPS = {"dB": "0.01", "Hz": "0.1:log", "ms": "0.01:log", "s": "0.001:log"}


NEAREST = """\
// The nearest whole number, halves to the even one
function nearest(v) local(r) ( r = floor(v + 0.5); r - v == 0.5 && floor(r / 2) * 2 != r ? r - 1 : r; );
"""


@dataclass
class Plugin:
    """``library`` holds blocks of functions by name, in the order in which they were asked for; ``bands`` counts equaliser
    sections, ``late`` is EEL2 text whose value is the look-ahead in samples."""

    sliders: list[str] = field(default_factory=list)
    library: dict[str, str] = field(default_factory=lambda: {"nearest": NEAREST})
    init: list[str] = field(default_factory=list)
    at_slider: list[str] = field(default_factory=list)
    per_sample: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    bands: int = 0
    stages: int = 0

    def name(self) -> str:
        """A prefix for the variables of one stage."""
        self.stages += 1
        return f"e{self.stages}_"

    def use(self, block: str, text: str) -> None:
        """Functions that several stages share."""
        self.library.setdefault(block, text)

    def slider(self, label: str, value: float, low: float, high: float, step: str, unit: str) -> str:
        """A new slider; the text that stands for its value."""
        low, high = min(low, value), max(high, value)
        self.sliders.append(f"slider{len(self.sliders) + 1}:{number(value)}<{number(low)},{number(high)},{step}>{label} ({unit})")
        return f"slider{len(self.sliders)}"

    def knob(self, parameter: Parameter, value: float, label: str = "") -> str:
        """The slider of an effect's parameter."""
        words = label or parameter.name.removesuffix("_db").removesuffix("_hz").removesuffix("_ms").removesuffix("_s").replace(
            "_", " "
        )
        step = _STEPS.get(parameter.unit, "0.001:log" if parameter.scale == "log" else "0.001")
        step = step if parameter.scale == "log" else step.removesuffix(":log")
        return self.slider(
            words, value, parameter.minimum, parameter.maximum, step, parameter.unit or parameter.name.split("_")[-1]
        )
