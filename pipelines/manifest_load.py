"""YAML -> Manifest, and pydantic's errors -> one sentence with the place in the file and the near miss."""

from __future__ import annotations

import difflib
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from pipelines.manifest import Manifest
from stylefx.errors import UserError

_MAX_BYTES = 16 * 2**20
_MAX_PROBLEMS = 5


class _Loader(yaml.SafeLoader):
    """Safe, and refuses a key given twice and aliases (a small file could expand without end)."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        seen = set()
        for key_node, _ in node.value:
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            if key is None:
                raise yaml.constructor.ConstructorError(None, None, "keys must be plain words", key_node.start_mark)
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} is given twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep=deep)

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            event = self.peek_event()
            raise yaml.composer.ComposerError(None, None, "aliases (*name) are not accepted; write it out", event.start_mark)
        return super().compose_node(parent, index)


def read_yaml(path: str | Path) -> tuple[Any, yaml.Node | None]:
    """Plain data and the node tree (for line numbers); UserError with line and column for what is not YAML."""
    path = Path(path)
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise UserError(f"{path} has {path.stat().st_size} bytes; a manifest has at most {_MAX_BYTES}")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text (byte {error.start}); is it a manifest?") from error
    return parse_yaml(text, str(path))


def parse_yaml(text: str, name: str) -> tuple[Any, yaml.Node | None]:
    loader = None
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        return (None if node is None else loader.construct_document(node)), node
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f" line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise UserError(f"{name}{where}: {error.problem or error.context}") from error
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise UserError(f"{name} is not valid YAML: {' '.join(str(error).split())}") from error
    except RecursionError as error:
        raise UserError(f"{name} is nested too deeply to be a manifest") from error
    finally:
        if loader is not None:
            loader.dispose()


def load(path: str | Path, overrides: Sequence[str] = ()) -> Manifest:
    data, node = read_yaml(path)
    if not isinstance(data, dict):
        raise UserError(f"{path} holds {type(data).__name__}, a manifest is a mapping with name, output, sources")
    for override in overrides:
        apply_override(data, override)
    return validate(Manifest, data, str(path), node)


def apply_override(data: Any, override: str) -> None:
    """``sources.0.path=folder``: set one value, in place; the value is read as YAML."""
    name, separator, text = override.partition("=")
    if not separator or not name:
        raise UserError(f"--set {override!r}: write it as name=value, such as segment.sample_rate=44100")
    value, _ = parse_yaml(text, f"--set {name}")
    *path, last = name.split(".")
    place = data
    for part in path:
        place = _step(place, part, name)
    if isinstance(place, list):
        place[_index(place, last, name)] = value
    else:
        place[last] = value


def _step(place: Any, part: str, name: str) -> Any:
    if isinstance(place, list):
        index = _index(place, part, name)
        child = place[index]
    else:
        index, child = part, place.get(part)
    if not isinstance(child, (dict, list)):
        child = place[index] = {}
    return child


def _index(place: list, part: str, name: str) -> int:
    if not part.isdigit() or int(part) >= len(place):
        raise UserError(f"--set {name}: {part!r} is not one of the {len(place)} entries there (0 to {len(place) - 1})")
    return int(part)


def validate(model: type[BaseModel], data: Any, name: str, node: yaml.Node | None = None) -> Any:
    """The model of the data, or a UserError that names what, where, and the near miss of an unknown key."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise UserError(f"{name}: {_explain(model, error, node)}") from error
    except RecursionError as error:
        raise UserError(f"{name} is nested too deeply to be a manifest") from error


def _explain(model: type[BaseModel], error: ValidationError, node: yaml.Node | None) -> str:
    problems: dict[str, str] = {}
    for e in _relevant(error.errors(include_url=False)):
        shown, line = _place(model, e, node)
        where = f"{shown or 'the top'}{f' (line {line})' if line else ''}"
        problems.setdefault(where, _sentence(model, e, where))
    texts = list(problems.values())
    more = f"; and {len(texts) - _MAX_PROBLEMS} more" if len(texts) > _MAX_PROBLEMS else ""
    return "; ".join(texts[:_MAX_PROBLEMS]) + more


def _relevant(errors: list[dict]) -> list[dict]:
    """Of the alternatives of a union, keep the one that was meant: drop type mismatches beside more specific errors."""
    kinds = ("literal_error", "model_type", "dict_type", "string_type", "bool_type", "float_type")
    specific = [e for e in errors if e["type"] not in kinds]
    kept = []
    for e in errors:
        beside = [s for s in specific if s is not e and s["loc"][: len(e["loc"]) - 1] == e["loc"][:-1]]
        if e["type"] not in kinds or not beside:
            kept.append(e)
    return kept


def _sentence(model: type[BaseModel], e: dict, where: str) -> str:
    if e["type"] == "extra_forbidden":
        known = _fields_at(model, e["loc"][:-1])
        near = difflib.get_close_matches(str(e["loc"][-1]), known, n=1, cutoff=0.6)
        hint = f"did you mean {near[0]!r}?" if near else f"known there: {', '.join(sorted(known)) or 'nothing'}"
        return f"unknown key {where}; {hint}"
    if e["type"] == "missing":
        return f"{where} is missing"
    message = e["msg"].removeprefix("Value error, ")
    value = e.get("input")
    got = (
        f", got {value!r}" if isinstance(value, (str, int, float)) and "got" not in message and e["type"] != "value_error" else ""
    )
    return f"{where}: {message[0].lower() + message[1:]}{got[:200]}"


def _place(model: type[BaseModel], e: dict, node: yaml.Node | None) -> tuple[str, int | None]:
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


def _tagged(models: set[type[BaseModel]], part: Any) -> set[type[BaseModel]]:
    """The alternative of a union that ``part`` is the tag of; empty where it is a field or an index."""
    if len(models) > 1:
        chosen = {m for m in models if "step" in m.model_fields and part in typing.get_args(m.model_fields["step"].annotation)}
        if chosen:
            return chosen
    return {m for m in models if m.__name__ == part}


def _fields_at(model: type[BaseModel], loc: tuple) -> list[str]:
    """Field names that are possible at a place."""
    models = {model}
    for part in loc:
        models = _tagged(models, part) or _inside(models, part) or models
    return sorted({name for m in models for name in m.model_fields})
