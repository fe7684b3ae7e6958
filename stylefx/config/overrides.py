"""``NAME=VALUE`` on a command line: one value of a configuration set to another."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from stylefx.config.read import parse_yaml
from stylefx.errors import UserError


def apply_overrides(data: dict[str, Any], overrides: Iterable[str]) -> list[str]:
    """``sources.0.path=folder`` sets data["sources"][0]["path"], in place; values are YAML. Returns the names.

    A number reaches an entry of a list that is there already. What stands in the way of a longer name (a plain value, as in
    ``level: none``) is replaced; whether the result makes sense is for the validation to say.
    """
    names = []
    for override in overrides:
        name, equals, text = override.partition("=")
        if not equals or not all(name.split(".")):
            raise UserError(f"{override!r} on the command line is not NAME=VALUE, such as segment.sample_rate=44100")
        where = f"{name} on the command line"  # without the value, which may carry a credential
        value, _ = parse_yaml(text, where)
        _set(data, name.split("."), value, where)
        names.append(name)
    return names


def _set(data: dict[str, Any], path: list[str], value: Any, where: str) -> None:
    place: Any = data
    for part in path[:-1]:
        index = _index(place, part, where)
        child = place[index] if isinstance(place, list) else place.get(index)
        if not isinstance(child, dict | list):
            child = place[index] = {}
        place = child
    place[_index(place, path[-1], where)] = value


def _index(place: dict[str, Any] | list[Any], part: str, where: str) -> Any:
    """The key or, in a list, the number of the entry."""
    if isinstance(place, dict):
        return part
    if not part.isdecimal() or int(part) >= len(place):
        raise UserError(f"{where}: {part!r} is not one of the {len(place)} entries there (0 to {len(place) - 1})")
    return int(part)
