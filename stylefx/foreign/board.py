"""pedalboard, in this process. Its compressor is JUCE's: a hard knee, no make-up gain, each channel by itself, and the level
is smoothed before the gain curve; JUCE's time t is 2 pi time constants."""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib import metadata
from types import ModuleType

import numpy as np

from stylefx.errors import UserError
from stylefx.extras import install_line
from stylefx.foreign.stages import LN9, BandStage, CompressorStage, Stage, number

TIME = 2 * math.pi / LN9  # 2.86
_CLASSES = {"peak": "PeakFilter", "low_shelf": "LowShelfFilter", "high_shelf": "HighShelfFilter"}


class Pedalboard:
    name = "pedalboard"
    effects = frozenset({"parametric_eq", "compressor", "gain"})

    def preflight(self) -> str:
        _package()
        return f"pedalboard {metadata.version('pedalboard')}"

    def __call__(self, audio: np.ndarray, stages: Sequence[Stage], sample_rate: int, headroom: bool) -> np.ndarray:
        package = _package()
        plugins = []
        for stage in stages:
            if isinstance(stage, BandStage) and stage.sections:
                impulse = np.array(impulse_response(stage.sections), np.float32)
                plugins += [package.Convolution(impulse, sample_rate=sample_rate), package.Gain(convolution_gain_db(impulse))]
                continue
            name, arguments = plugin(stage)
            plugins.append(getattr(package, name)(**arguments))
        return np.asarray(package.Pedalboard(plugins)(audio, sample_rate))


def _package() -> ModuleType:
    try:
        import pedalboard
    except ImportError as error:
        raise UserError(
            f"the engine pedalboard needs the package pedalboard, which is not installed: {install_line('pedalboard')}"
        ) from error
    return pedalboard


def plugin(stage: Stage) -> tuple[str, dict[str, float]]:
    """Class and arguments of pedalboard's counterpart of a stage."""
    if isinstance(stage, CompressorStage):
        times = {"attack_ms": stage.attack_ms * TIME, "release_ms": stage.release_ms * TIME}
        return "Compressor", {"threshold_db": stage.threshold_db, "ratio": stage.ratio, **times}
    if not isinstance(stage, BandStage):
        return "Gain", {"gain_db": stage.gain_db}
    if stage.kind not in _CLASSES:
        raise UserError(f"pedalboard has no {stage.kind.replace('_', ' ')} with a Q (band {stage.name}); leave the band out")
    return _CLASSES[stage.kind], {"cutoff_frequency_hz": stage.cutoff_hz, "gain_db": stage.gain_db, "q": stage.q}


def impulse_response(sections: Sequence[Sequence[float]], samples: int = 4096) -> list[float]:
    """Of second-order sections (b0, b1, b2, 1, a1, a2) in series: how a band is held that the rate cannot hold itself."""
    signal = [1.0] + [0.0] * (samples - 1)
    for b0, b1, b2, _, a1, a2 in sections:
        u = v = 0.0
        for i, x in enumerate(signal):
            y = b0 * x + u
            u, v, signal[i] = b1 * x - a1 * y + v, b2 * x - a2 * y, y
    return signal


def convolution_gain_db(impulse: Sequence[float] | np.ndarray) -> float:
    """What undoes JUCE's scaling of an impulse response to the energy 1 / 64."""
    return 10 * math.log10(64 * sum(float(v) * float(v) for v in impulse))


def source(stage: Stage) -> str:
    """The same as Python source."""
    name, arguments = plugin(stage)
    if name == "Gain":
        return f"Gain({number(arguments['gain_db'])})"
    return f"{name}({', '.join(f'{key}={number(value)}' for key, value in arguments.items())})"
