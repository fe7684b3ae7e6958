"""Plain data -> a pydantic model, and pydantic's errors -> one sentence with the place in the file and the near miss."""

from __future__ import annotations

import typing
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from stylefx.errors import UserError
from stylefx.nearest import did_you_mean

M = TypeVar("M", bound=BaseModel)

_MAX_PROBLEMS = 5


def validate(model: type[M], data: Any, name: str, node: yaml.Node | None = None, overrides: Sequence[str] = ()) -> M:
    """The model of the data, or a UserError that names what, where, and the near miss of an unknown key.

    ``node`` is the tree that ``read_yaml`` gave, for lines; ``overrides`` what ``apply_overrides`` gave: a mistake in one of them
    is the command line's, not the file's.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise UserError(_explain(model, error, name, node, overrides)) from error
    except RecursionError as error:
        raise UserError(f"{name} is nested too deeply") from error


def _explain(model: type[BaseModel], error: ValidationError, name: str, node: yaml.Node | None, overrides: Sequence[str]) -> str:
    problems: dict[str, tuple[str, str]] = {}
    for e in _relevant(error.errors(include_url=False)):
        shown, line = _place(model, e, node)
        origin, in_file = _origin(shown, name, overrides)
        where = f"{shown or 'the top'}{f' (line {line})' if line and in_file else ''}"
        problems.setdefault(where, (origin, _sentence(model, e, where)))
    texts: list[str] = []
    before = None
    for origin, text in list(problems.values())[:_MAX_PROBLEMS]:
        texts.append(text if origin == before else f"{origin}: {text}")
        before = origin
    more = f"; and {len(problems) - _MAX_PROBLEMS} more" if len(problems) > _MAX_PROBLEMS else ""
    return "; ".join(texts) + more


def _origin(shown: str, name: str, overrides: Sequence[str]) -> tuple[str, bool]:
    """(who wrote what stands at this place, whether it was the file): an override of it or of what it is in; the file; or both
    where an override changed a part of it."""
    if any(f"{shown}.".startswith(f"{place}.") for place in overrides):
        return "on the command line", False
    within = [place for place in overrides if not shown or place.startswith(f"{shown}.")]
    return (f"{name} with {', '.join(within)} from the command line" if within else name), True


def _relevant(errors: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """Of the alternatives of a union, keep the one that was meant: drop type mismatches beside more specific errors, and what
    only follows from others."""
    kinds = ("literal_error", "model_type", "dict_type", "string_type", "bool_type", "float_type")
    specific = [e for e in errors if e["type"] not in kinds]
    kept = []
    for e in errors:
        if e["type"] == "too_short" and any(s["loc"][: len(e["loc"])] == e["loc"] for s in errors if s is not e):
            continue  # only because of those that are wrong
        beside = [s for s in specific if s is not e and s["loc"][: len(e["loc"]) - 1] == e["loc"][:-1]]
        if e["type"] not in kinds or not beside:
            kept.append(e)
    return kept


def _sentence(model: type[BaseModel], e: Mapping[str, Any], where: str) -> str:
    if e["type"] == "extra_forbidden":
        known = _fields_at(model, e["loc"][:-1])
        hint = did_you_mean(e["loc"][-1], known, f"known there: {', '.join(known) or 'nothing'}")
        return f"unknown key {where}{hint}"
    if e["type"] == "missing":
        return f"{where} is missing"
    message = e["msg"].removeprefix("Value error, ").replace("\n", "\\n")  # it may repeat what stands in the file
    value = e.get("input")
    got = (
        f", got {value!r}" if isinstance(value, (str, int, float)) and "got" not in message and e["type"] != "value_error" else ""
    )
    return f"{where}: {message[0].lower() + message[1:]}{got[:200]}"


def _place(model: type[BaseModel], e: Mapping[str, Any], node: yaml.Node | None) -> tuple[str, int | None]:
    """The dotted path as written in the file (the tags of unions are no part of it), and the line."""
    shown: list[str] = []
    line, models, loc = None, {model}, e["loc"]
    named = e["type"] in ("extra_forbidden", "missing")  # then the last part is a key
    for i, part in enumerate(loc):
        child = _child(node, part)
        last = named and i == len(loc) - 1
        tag = _tagged(models, part)
        unknown = isinstance(part, str) and child is None and not any(part in m.model_fields for m in models)
        if not last and (tag or unknown):
            models = tag or models
            continue
        text = str(part)
        shown.append(text if text.isprintable() else repr(text))
        models = _inside(models, part) or models
        if child is not None:
            line = child[0].start_mark.line + 1
        node = None if child is None else child[1]
    return ".".join(shown), line


def _child(node: yaml.Node | None, part: Any) -> tuple[yaml.Node, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        return next(((k, v) for k, v in node.value if k.value == str(part)), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part], node.value[part]
    return None


def _models(annotation: Any) -> set[type[BaseModel]]:
    """The models inside an annotation: ``tuple[Step, ...] | None`` -> every kind of step."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return {annotation}
    return set().union(*(_models(a) for a in typing.get_args(annotation)), set())


def _inside(models: set[type[BaseModel]], part: Any) -> set[type[BaseModel]]:
    """The models in the field ``part`` of these models."""
    return set().union(*(_models(m.model_fields[part].annotation) for m in models if part in m.model_fields), set())


def _words(annotation: Any) -> tuple[Any, ...]:
    """The word that a field must hold, where it is a single one: the tag of a union's alternative."""
    words = typing.get_args(annotation) if typing.get_origin(annotation) is typing.Literal else ()
    return words if len(words) == 1 else ()


def _tagged(models: set[type[BaseModel]], part: Any) -> set[type[BaseModel]]:
    """The alternative of a union that ``part`` is the tag of; empty where it is a field or an index."""
    if len(models) > 1:
        chosen = {m for m in models if any(part in _words(field.annotation) for field in m.model_fields.values())}
        if chosen:
            return chosen
    return {m for m in models if m.__name__ == part}


def _fields_at(model: type[BaseModel], loc: tuple[int | str, ...]) -> list[str]:
    """Field names that are possible at a place."""
    models = {model}
    for part in loc:
        models = _tagged(models, part) or _inside(models, part) or models
    return sorted({name for m in models for name in m.model_fields})
