"""One augmentation by name, with given parameters, the same at every call with the same seed: a transform of the package
audiomentations (their names begin with a capital), or a plug-in's function under the entry point ``stylefx.augmentations``
(whose names begin with a small letter).

The package draws from the global generators of ``random`` and ``numpy.random``; here both are seeded for the call and
put back afterwards, so that nothing outside is shifted and nothing outside shifts the result.
"""

from __future__ import annotations

import inspect
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from stylefx import plugins
from stylefx.audio.quantise import as_samples
from stylefx.errors import UserError
from stylefx.nearest import did_you_mean

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
    if is_plugin(name):
        return _complete_plugin(name, parameters)
    import audiomentations

    if name in _OURS:
        raise UserError(f"{name} is done by the pitch and tempo engine; use {_OURS[name]} instead")
    if name in _CHANGE_LENGTH:
        raise UserError(f"{name} changes the length of the audio, which is fixed here; leave it out")
    names = transform_names()
    if name not in names:
        raise UserError(f"audiomentations has no transform {name!r}{did_you_mean(name, names)}")
    accepted = [p for p in inspect.signature(getattr(audiomentations, name).__init__).parameters if p not in ("self", "p")]
    complete: dict[str, Any] = {}
    for key, value in parameters.items():
        if key in accepted:
            complete[key] = value
        elif f"min_{key}" in accepted and f"max_{key}" in accepted:
            complete |= {f"min_{key}": value, f"max_{key}": value}
        else:
            raise UserError(
                f"{name} has no parameter {key!r}{did_you_mean(key, accepted)}; it has {', '.join(accepted) or 'none'}"
            )
    return complete


def apply_transform(audio: np.ndarray, sample_rate: int, name: str, parameters: Mapping[str, Any], seed: int) -> np.ndarray:
    """float32 (channels, samples) -> float32 of the same shape; ``seed`` is any whole number from 0 on.

    UserError: unknown transform or parameter, values it refuses, a transform that changes the length.
    """
    audio = as_samples(audio)
    arguments = complete_parameters(name, parameters)
    with _seeded(seed):
        try:
            if is_plugin(name):
                out = plugins.load(plugins.AUGMENTATIONS, name)(audio.copy(), sample_rate, seed, **arguments)
            else:
                import audiomentations

                transform = getattr(audiomentations, name)(p=1.0, **arguments)
                out = transform(audio.copy() if audio.shape[0] > 1 else audio[0].copy(), sample_rate)
        except (ValueError, TypeError, AssertionError, ImportError) as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise UserError(f"{name} with {dict(arguments)} cannot be applied: {reason}") from None
    out = as_samples(out)
    if out.shape != audio.shape:
        raise UserError(f"{name} changes the shape {audio.shape} to {out.shape}; use transforms that keep the length")
    return out


def is_plugin(name: str) -> bool:
    """Whether the name is one of a plug-in, installed or not."""
    return name[:1].islower()


def _complete_plugin(name: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a plug-in's ``function(audio, sample_rate, seed, **parameters)``; UserError as for transforms."""
    names = plugins.provided(plugins.AUGMENTATIONS)
    if name not in names:
        hint = did_you_mean(name, names, f"they provide {', '.join(names) or 'none'}")
        raise UserError(
            f"no plug-in provides the augmentation {name!r}{hint} (transforms of audiomentations begin with a capital)"
        )
    accepted = list(inspect.signature(plugins.load(plugins.AUGMENTATIONS, name)).parameters)[3:]
    for key in parameters:
        if key not in accepted:
            raise UserError(
                f"{name} has no parameter {key!r}{did_you_mean(key, accepted)}; it has {', '.join(accepted) or 'none'}"
            )
    return dict(parameters)


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
