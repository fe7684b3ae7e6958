"""Pitch and tempo: engines behind one function, chosen by name, imported when first used.

``tempo`` 1.2 is 20 % faster; ``pitch_cents`` 100 is a semitone up. Every engine gives exactly the frames asked for, in
time with the input, the same samples at every call, keeps the phase between channels (the two of Rubber Band only roughly),
and follows the level of the input: it works at one level (``level.py``), so that twice the input is twice the output, to
the bit.
"""

from __future__ import annotations

import importlib
from typing import Protocol

import numpy as np

from stylefx.audio.engines.length import default_frames, fit_frames
from stylefx.audio.engines.level import working_gain
from stylefx.audio.quantise import as_samples
from stylefx.errors import UserError

_ENGINES = {
    "vocoder": "stylefx.audio.engines.vocoder:Vocoder",
    "signalsmith": "stylefx.audio.engines.signalsmith:Signalsmith",
    "rubberband": "stylefx.audio.engines.rubberband:RubberBand",
    "pyrubberband": "stylefx.audio.engines.pyrubberband:PyRubberBand",
}
DEFAULT_ENGINE = "vocoder"
MAX_CENTS = 2400.0
TEMPO_RANGE = (0.25, 4.0)


class Engine(Protocol):
    """What an engine has to do."""

    name: str
    working_peak: float  # a power of two: audio is given with its peak between half of it and it

    def preflight(self) -> str:
        """The version that would run; UserError with the line that installs it where it is missing."""

    def __call__(self, audio: np.ndarray, sample_rate: int, pitch_cents: float, tempo: float, out_frames: int) -> np.ndarray:
        """float32 (channels, samples) -> float32 (channels, about out_frames), aligned with the input's start."""


def engine_names() -> tuple[str, ...]:
    return tuple(_ENGINES)


def load_engine(name: str) -> Engine:
    """The engine of this name; UserError lists those there are."""
    if name not in _ENGINES:
        raise UserError(f"pitch and tempo engine {name!r} is not known; choose one of {', '.join(_ENGINES)}")
    module, attribute = _ENGINES[name].split(":")
    return getattr(importlib.import_module(module), attribute)()


def preflight(engine: str = DEFAULT_ENGINE) -> str:
    """Check that an engine can run here; returns its name and version, UserError with the install line where it cannot."""
    return load_engine(engine).preflight()


def pitch_tempo(
    audio: np.ndarray,
    sample_rate: int,
    pitch_cents: float,
    tempo: float,
    out_frames: int | None = None,
    engine: str = DEFAULT_ENGINE,
) -> np.ndarray:
    """Change pitch and tempo of float32 (channels, samples); returns float32 (channels, out_frames).

    out_frames: default round(samples / tempo). No change of either is a copy (cut or padded with silence to out_frames).
    UserError: unknown engine, an engine that is not installed, values outside +-2400 cents or tempo 0.25..4.
    """
    audio = as_samples(audio)
    if not -MAX_CENTS <= pitch_cents <= MAX_CENTS:
        raise UserError(f"pitch shift of {pitch_cents} cents is outside -{MAX_CENTS:.0f}..{MAX_CENTS:.0f}")
    if not TEMPO_RANGE[0] <= tempo <= TEMPO_RANGE[1]:
        raise UserError(f"tempo {tempo} is outside {TEMPO_RANGE[0]}..{TEMPO_RANGE[1]} (1.2 is 20 % faster)")
    if out_frames is None:
        out_frames = default_frames(audio.shape[1], tempo)
    run = load_engine(engine)
    if (pitch_cents == 0.0 and tempo == 1.0) or audio.shape[1] == 0 or out_frames == 0:
        return fit_frames(audio, out_frames)
    gain = working_gain(audio, run.working_peak)
    out = fit_frames(run(audio * np.float32(gain), int(sample_rate), float(pitch_cents), float(tempo), out_frames), out_frames)
    out *= np.float32(1.0 / gain)
    return out
