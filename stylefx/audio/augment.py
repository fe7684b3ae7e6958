"""One transform of the package audiomentations by name, with given parameters, the same at every call with the same seed.

The package draws from the global generators of ``random`` and ``numpy.random``; here both are seeded for the call and
put back afterwards, so that nothing outside is shifted and nothing outside shifts the result.
"""

from __future__ import annotations

import difflib
import inspect
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from stylefx.audio.quantise import as_samples
from stylefx.errors import UserError

_COMBINATIONS = frozenset({"Compose", "OneOf", "SomeOf", "Lambda"})
_CHANGE_LENGTH = frozenset({"AdjustDuration", "Padding", "RepeatPart", "Resample", "Trim"})
_OURS = {"PitchShift": "augment.pitch_cents", "TimeStretch": "augment.tempo"}


def transform_names() -> tuple[str, ...]:
    """The transforms that can be named: one at a time, and the length stays."""
    import audiomentations
    from audiomentations.core.transforms_interface import BaseWaveformTransform

    excluded = _COMBINATIONS | _CHANGE_LENGTH | set(_OURS)
    found = inspect.getmembers(audiomentations, inspect.isclass)
    return tuple(name for name, kind in found if issubclass(kind, BaseWaveformTransform) and name not in excluded)


def complete_parameters(name: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The constructor's arguments; UserError names an unknown transform or parameter and its near miss.

    Where the transform draws a quantity between ``min_X`` and ``max_X``, ``X`` alone fixes both: with {"gain_db": -3}
    Gain does exactly that.
    """
    import audiomentations

    if name in _OURS:
        raise UserError(f"{name} is done by the pitch and tempo engine; use {_OURS[name]} instead")
    if name in _CHANGE_LENGTH:
        raise UserError(f"{name} changes the length of the audio, which is fixed here; leave it out")
    names = transform_names()
    if name not in names:
        raise UserError(f"audiomentations has no transform {name!r}{_near(name, names)}")
    accepted = [p for p in inspect.signature(getattr(audiomentations, name).__init__).parameters if p not in ("self", "p")]
    complete: dict[str, Any] = {}
    for key, value in parameters.items():
        if key in accepted:
            complete[key] = value
        elif f"min_{key}" in accepted and f"max_{key}" in accepted:
            complete |= {f"min_{key}": value, f"max_{key}": value}
        else:
            raise UserError(f"{name} has no parameter {key!r}{_near(key, accepted)}; it has {', '.join(accepted) or 'none'}")
    return complete


def apply_transform(audio: np.ndarray, sample_rate: int, name: str, parameters: Mapping[str, Any], seed: int) -> np.ndarray:
    """float32 (channels, samples) -> float32 of the same shape; ``seed`` is any whole number from 0 on.

    UserError: unknown transform or parameter, values it refuses, a transform that changes the length.
    """
    import audiomentations

    audio = as_samples(audio)
    arguments = complete_parameters(name, parameters)
    with _seeded(seed):
        try:
            transform = getattr(audiomentations, name)(p=1.0, **arguments)
            out = transform(audio.copy() if audio.shape[0] > 1 else audio[0].copy(), sample_rate)
        except (ValueError, TypeError, AssertionError, ImportError) as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise UserError(f"{name} with {dict(arguments)} cannot be applied: {reason}") from None
    out = as_samples(out)
    if out.shape != audio.shape:
        raise UserError(f"{name} changes the shape {audio.shape} to {out.shape}; use transforms that keep the length")
    return out


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    before, before_numpy = random.getstate(), np.random.get_state()
    random.seed(seed)
    np.random.seed([seed & 0xFFFFFFFF, seed >> 32 & 0xFFFFFFFF])
    try:
        yield
    finally:
        random.setstate(before)
        np.random.set_state(before_numpy)


def _near(name: str, names: tuple[str, ...] | list[str]) -> str:
    close = difflib.get_close_matches(name, names, 1)
    return f"; did you mean {close[0]}?" if close else ""
