"""Differentiable twins of the effects, by the effect's registered name.

A new effect is one file in ``stylefx/effects/palette`` and one in ``palette`` here: a subclass of ``Twin`` under
``@twin_of(name)``.
"""

from __future__ import annotations

import importlib
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeVar

from stylefx.effects.base import Effect
from stylefx.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

METHODS = ("auto", "recursive", "frequency")

_PALETTE = "stylefx.differentiable.palette"  # found by name: what registers itself must not be imported from here
_TWINS: dict[str, type[Twin]] = {}
_loaded = False
T = TypeVar("T", bound="type[Twin]")


class Twin(ABC):
    """The torch form of one effect, with gradients to the audio and to every parameter.

    ``method``: "recursive" and "frequency" choose the form of the filters where there are two, "auto" takes the fastest
    on the audio's device.
    """

    def __init__(self, effect: Effect, method: str = "auto"):
        self.effect, self.method = effect, method

    @abstractmethod
    def render(self, audio: Tensor, settings: Mapping[str, Tensor], sample_rate: float, in_range: bool) -> Tensor:
        """audio (items, channels, n), float32 or float64; settings: every parameter of the effect, physical units, (items,)
        in float64 (float32 where the device has no more). ``in_range`` promises that no value leaves its parameter's range.
        Same shape and type out, aligned with the input; a new tensor, the arguments are not written to."""


def twin_of(name: str) -> Callable[[T], T]:
    """Class decorator: the twin of the effect ``name``."""

    def register(cls: T) -> T:
        other = _TWINS.get(name)
        if other is not None and (other.__module__, other.__qualname__) != (cls.__module__, cls.__qualname__):
            raise ValueError(f"two twins of {name!r}: {other} and {cls}")
        _TWINS[name] = cls
        return cls

    return register


def _load() -> None:
    global _loaded
    if not _loaded:
        for module in pkgutil.iter_modules(importlib.import_module(_PALETTE).__path__):
            importlib.import_module(f"{_PALETTE}.{module.name}")
        _loaded = True


def twin_names() -> list[str]:
    _load()
    return sorted(_TWINS)


def make_twin(effect: Effect, method: str = "auto") -> Twin:
    """The differentiable form of ``effect``; UserError when it has none."""
    _load()
    if method not in METHODS:
        raise UserError(f"there is no method {method!r} of differentiation; known are {', '.join(METHODS)}")
    if effect.name not in _TWINS and effect.twin:
        module, _, attribute = effect.twin.partition(":")
        twin_of(effect.name)(getattr(importlib.import_module(module), attribute))
    if effect.name not in _TWINS:
        raise UserError(f"the effect {effect.name!r} has no differentiable form; those that have: {', '.join(twin_names())}")
    return _TWINS[effect.name](effect, method)
