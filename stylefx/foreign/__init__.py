"""Chains rendered by another program: SoX, ffmpeg or pedalboard, with our settings converted to theirs.

Corpora made so hold the corruption that others published (the paper's pairs were made by SoX), and test sets that no model
of ours was trained through. Equalisers are the same filters everywhere (R. Bristow-Johnson's cookbook); dynamics have the
same thresholds, slopes and time constants, but every program smooths in its own way.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from stylefx.effects.base import Effect
from stylefx.effects.registry import make_effect
from stylefx.errors import UserError
from stylefx.foreign.stages import Stage, stages_of

#: the name of our own effects, where an engine is chosen
OWN = "stylefx"
_PROGRAMS = {
    "sox": "stylefx.foreign.sox:Sox",
    "ffmpeg": "stylefx.foreign.ffmpeg:Ffmpeg",
    "pedalboard": "stylefx.foreign.board:Pedalboard",
}
PROGRAMS = tuple(_PROGRAMS)
ENGINES = (OWN, *PROGRAMS)


class Program(Protocol):
    """What a foreign engine has to do."""

    name: str
    effects: frozenset[str]

    def preflight(self) -> str:
        """Name and version of what would run; UserError with the line that installs it where it is missing."""

    def __call__(self, audio: np.ndarray, stages: Sequence[Stage], sample_rate: int, headroom: bool) -> np.ndarray:
        """float32 (channels, samples) -> the same shape, aligned."""


def load_program(name: str) -> Program:
    """The program of this name; UserError lists those there are."""
    if name not in _PROGRAMS:
        raise UserError(f"there is no engine {name!r}; choose one of {', '.join(ENGINES)}")
    module, attribute = _PROGRAMS[name].split(":")
    program: Program = getattr(importlib.import_module(module), attribute)()
    return program


def preflight(name: str) -> str:
    """Check that a program can run here; returns its name and version, UserError with the install line where it cannot."""
    return load_program(name).preflight()


def check_effects(name: str, effects: Sequence[str]) -> None:
    """UserError naming the first effect that the program has no counterpart of."""
    known = load_program(name).effects
    for effect in effects:
        if effect not in known:
            raise UserError(
                f"{name} has no counterpart of the effect {effect!r} (it renders {', '.join(sorted(known))}); "
                f"leave the effect out, or render with engine: {OWN}"
            )


def render(
    name: str, audio: np.ndarray, entries: Sequence[Mapping[str, Any]], sample_rate: float, headroom: bool = True
) -> np.ndarray:
    """Render effects in series, float32 (channels, samples) -> the same shape.

    ``entries`` are {"effect", "settings", "config"?, "mix"?, "bypass"?}. With ``headroom`` a program that clips at full scale
    between effects (SoX) is given the audio lower and its output is raised again; without, it is called as people call it.
    """
    check_effects(name, [entry["effect"] for entry in entries])
    program = load_program(name)
    for entry in entries:
        mix = entry.get("mix", 1.0)
        if entry.get("bypass") or mix == 0.0:
            continue
        effect = make_effect(entry["effect"], **(entry.get("config") or {}))
        wet = _rendered(program, effect, audio, entry, sample_rate, headroom)
        audio = wet if mix == 1.0 else np.float32(1.0 - mix) * audio + np.float32(mix) * wet
    return audio


def _rendered(
    program: Program, effect: Effect, audio: np.ndarray, entry: Mapping[str, Any], sample_rate: float, headroom: bool
) -> np.ndarray:
    plan = stages_of(effect, effect.complete(entry.get("settings")), sample_rate)
    if not plan:
        return audio
    out = program(np.ascontiguousarray(audio, np.float32), plan, int(sample_rate), headroom)
    if out.shape != audio.shape:
        raise UserError(f"{program.name} returned {out.shape[1]} frames of {audio.shape[1]}; its version may be too old")
    return out
