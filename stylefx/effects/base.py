"""What an effect is. Audio is float32 (channels, samples); settings are a flat dict of physical values.

An ``Effect`` is a description without state; ``start`` gives a ``Process``, which holds the state of one stream and
takes it block by block. Blocks of any length give the same samples as the whole.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from stylefx.effects.parameters import Parameter
from stylefx.errors import UserError
from stylefx.nearest import did_you_mean

Settings = Mapping[str, float]
NUMBERS = (int, float, np.integer, np.floating)
MOST_CHANNELS = 128  # of audio; ambisonics of the tenth order have 121
FEW_CHANNELS = 16  # up to here a block may be shorter than it has channels


class Process(ABC):
    """One running stream of an effect. ``latency`` is the delay of the output in samples (look-ahead).

    It trusts its input: a NaN would stay in its state. Whoever feeds it checks (``check_audio``), as chains do.
    """

    latency: int = 0

    @abstractmethod
    def __call__(self, block: np.ndarray) -> np.ndarray:
        """Next block, float32 (channels, n) -> float32 of the same shape; the input is not modified."""


class Effect(ABC):
    """An audio effect with named parameters in physical units.

    Subclasses set ``name`` (the registry key) and ``parameters`` and implement ``start``. ``config()`` returns the
    constructor's arguments as plain data, so that chains can be written down and rebuilt. A plug-in's effect that has a form with
    gradients names it in ``twin`` ("package.module:Class"), which is loaded only where torch is.
    """

    name: ClassVar[str]
    twin: ClassVar[str] = ""
    parameters: tuple[Parameter, ...]

    @abstractmethod
    def start(self, settings: Settings, sample_rate: float, channels: int) -> Process:
        """A new stream with fixed settings; the settings are complete and validated."""

    def config(self) -> dict[str, Any]:
        return {}

    def validate(self, settings: Settings) -> None:  # noqa: B027 (a hook: nothing to check by default)
        """Raise UserError when a value is not physically valid (subclasses add their bounds)."""

    def effective(self, settings: Settings, sample_rate: float) -> dict[str, float]:
        """The settings as rendered at this rate (for example cutoffs clamped to 0.9 Nyquist of 48 kHz)."""
        return dict(settings)

    def complete(self, settings: Settings | None) -> dict[str, float]:
        """Fill in defaults; refuse unknown names and values that are not finite numbers."""
        settings = {} if settings is None else settings
        if not isinstance(settings, Mapping):
            raise UserError(f"{self.name}: settings are {settings!r}; give a mapping of parameter names to numbers")
        names = [p.name for p in self.parameters]
        known = set(names)
        for key, value in settings.items():
            if key not in known:
                hint = did_you_mean(key, names, f"it has {', '.join(names)}")
                raise UserError(f"{self.name} has no parameter {key!r}{hint}")
            if (
                not isinstance(value, (int, float, np.integer, np.floating))
                or isinstance(value, bool)
                or not math.isfinite(value)
            ):
                raise UserError(f"{self.name}: {key} is {value!r}; give a finite number")
        full = {p.name: float(settings.get(p.name, p.default)) for p in self.parameters}
        self.validate(full)
        return full

    def render(self, audio: np.ndarray, settings: Settings | None, sample_rate: float) -> np.ndarray:
        """Render a whole signal, float32 (channels, samples), look-ahead compensated: same length, aligned."""
        audio = check_audio(audio)
        process = self.start(self.complete(settings), float(sample_rate), audio.shape[0])
        if process.latency == 0:
            return process(audio)
        padded = np.pad(audio, ((0, 0), (0, process.latency)))
        return np.ascontiguousarray(process(padded)[:, process.latency :])


def check_audio(audio: np.ndarray) -> np.ndarray:
    """float32 (channels, samples), contiguous and finite, or a UserError; (samples, channels), as soundfile reads, is refused."""
    audio = np.ascontiguousarray(audio, dtype=np.float32)
    if audio.ndim != 2 or audio.shape[0] == 0:
        raise UserError(f"audio must have the shape (channels, samples) with at least one channel, got {audio.shape}")
    refuse_interleaved(audio.shape)
    if not np.isfinite(audio).all():
        raise UserError("audio contains NaN or infinite samples; repair or drop the recording")
    return audio


def refuse_interleaved(shape: Sequence[int]) -> None:
    """UserError for a shape whose last two axes must be (samples, channels): more channels than samples, and more than anything
    that plays has."""
    channels, samples = shape[-2], shape[-1]
    if channels > MOST_CHANNELS or (channels > FEW_CHANNELS and 0 < samples < channels):
        raise UserError(
            f"audio of the shape {tuple(shape)} would have {channels:,} channels of {samples:,} samples; the order of the axes "
            "is (channels, samples), so pass the transpose, audio.T, of what soundfile or a WAV reader gives"
        )


def as_block(block: np.ndarray) -> np.ndarray:
    """Contiguous and writeable: kernels are compiled once per memory layout."""
    return np.require(block, requirements=("C", "W"))
