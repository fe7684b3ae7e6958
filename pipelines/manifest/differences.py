"""What differs between two documents, field by field, in words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_SHOWN = 8


_FREE = ("output", "limits")  # where it lies and how patient to be changes no byte


_FREE_OF_SOURCES = ("path", "root", "url")


_FREE_TO_GROW = ("sources", "filters", "selection", "split.train", "split.val", "split.test")


@dataclass(frozen=True)
class Difference:
    """One field that is not as it was."""

    field: str
    was: Any
    now: Any

    def __str__(self) -> str:
        return f"{self.field} was {_shown(self.was)}, is {_shown(self.now)}"


def _shown(value: Any) -> str:
    text = "absent" if value is None else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:57] + "..."


def differences(was: Any, now: Any, path: str = "") -> Iterator[Difference]:
    """Leaf by leaf, in order."""
    if isinstance(was, dict) and isinstance(now, dict):
        for key in sorted({*was, *now}):
            yield from differences(was.get(key), now.get(key), f"{path}.{key}" if path else str(key))
    elif isinstance(was, list) and isinstance(now, list) and len(was) == len(now):
        for i, (a, b) in enumerate(zip(was, now, strict=True)):
            yield from differences(a, b, f"{path}.{i}")
    elif was != now:
        yield Difference(path, was, now)


def sentence(found: list[Difference]) -> str:
    more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return "; ".join(map(str, found[:_SHOWN])) + more


def manifest_differences(was: dict[str, Any], now: dict[str, Any], growing: bool = False) -> list[Difference]:
    """The differences that a resumed build may not have; ``growing`` allows what a new generation may change."""
    free = _FREE + (_FREE_TO_GROW if growing else ())

    def bound(d: Difference) -> bool:
        parts = d.field.split(".")
        if any(d.field == f or d.field.startswith(f + ".") for f in free):
            return False
        return not (parts[0] == "sources" and parts[-1] in _FREE_OF_SOURCES)

    return [d for d in differences(was, now) if bound(d)]
