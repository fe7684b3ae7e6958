"""Effects by name. A new effect is one file here with ``@register`` and one in ``stylefx/differentiable``."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from typing import Any, TypeVar

from stylefx.effects.base import Effect
from stylefx.errors import UserError

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
        import stylefx.effects as package

        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{package.__name__}.{module.name}")
        _loaded = True


def effect_names() -> list[str]:
    _load()
    return sorted(_EFFECTS)


def make_effect(name: str, **config: Any) -> Effect:
    """The effect ``name``, built with ``config``; UserError with the near miss for an unknown name."""
    _load()
    if name not in _EFFECTS:
        near = difflib.get_close_matches(name, _EFFECTS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise UserError(f"there is no effect {name!r}{hint} (known: {', '.join(effect_names())})")
    try:
        return _EFFECTS[name](**config)
    except TypeError as error:
        raise UserError(f"effect {name!r} does not take this configuration: {error}") from error
