"""Effects by name. A new effect is one file in ``palette`` with ``@register`` and one in ``stylefx/differentiable/palette``, or a
plug-in's class under the entry point ``stylefx.effects``."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any, TypeVar

from stylefx import plugins
from stylefx.effects.base import Effect
from stylefx.errors import UserError
from stylefx.nearest import did_you_mean

_PALETTE = "stylefx.effects.palette"  # found by name: what registers itself must not be imported from here
_EFFECTS: dict[str, type[Effect]] = {}
_loaded = False
E = TypeVar("E", bound=type[Effect])


def register(cls: E) -> E:
    """Class decorator: make the effect available under its ``name``."""
    other = _EFFECTS.get(cls.name)
    if other is not None and (other.__module__, other.__qualname__) != (cls.__module__, cls.__qualname__):
        raise ValueError(f"two effects are called {cls.name!r}: {other} and {cls}")
    _EFFECTS[cls.name] = cls
    return cls


def _load() -> None:
    """Import every module of the package once: each registers what it defines."""
    global _loaded
    if not _loaded:
        for module in pkgutil.iter_modules(importlib.import_module(_PALETTE).__path__):
            importlib.import_module(f"{_PALETTE}.{module.name}")
        _loaded = True


def effect_names() -> list[str]:
    _load()
    return sorted(_EFFECTS)


def make_effect(name: str, **config: Any) -> Effect:
    """The effect ``name``, built with ``config``; UserError with the near miss for an unknown name."""
    _load()
    if name not in _EFFECTS:
        _from_plugin(name)
    try:
        return _EFFECTS[name](**config)
    except TypeError as error:
        raise UserError(f"effect {name!r} does not take this configuration: {error}") from error


def _from_plugin(name: str) -> None:
    """Register a plug-in's effect; UserError where there is none of this name, or what the plug-in provides is none."""
    others = plugins.provided(plugins.EFFECTS)
    if name not in others:
        known = [*effect_names(), *others]
        raise UserError(f"there is no effect {name!r}{did_you_mean(name, known)} (known: {', '.join(known)})")
    cls = plugins.load(plugins.EFFECTS, name)
    if not (isinstance(cls, type) and issubclass(cls, Effect) and cls.name == name):
        package = plugins.provider(plugins.EFFECTS, name)
        raise UserError(f"the plug-in {package} provides {cls!r} as the effect {name!r}; it must be an Effect of that name")
    register(cls)
