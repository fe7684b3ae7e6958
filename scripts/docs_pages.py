"""Pages whose tables come from the code, as a hook of mkdocs.

A line ``{{ schema MODULE:MODEL }}`` or ``{{ effects }}`` alone in a page is replaced by what the models and the registry say
at the moment of the build.
"""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

_MARK = re.compile(r"^\{\{ (\w+) ?(\S*) \}\}$", re.MULTILINE)
_BOUNDS = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
Schema = dict[str, Any]


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Called by mkdocs for every page."""
    return _MARK.sub(lambda mark: _TABLES[mark[1]](mark[2]), markdown)


def model_tables(path: str) -> str:
    """Markdown of the pydantic model at ``module:name``: one table for it and one for each model inside it."""
    module, name = path.split(":")
    schema = getattr(importlib.import_module(module), name).model_json_schema()
    return (
        "\n".join(_model_section(schema, "the top"))
        + "\n"
        + "\n".join(line for key, part in _parts(schema) for line in _model_section(part, key))
    )


def _parts(schema: Schema) -> Iterator[tuple[str, Schema]]:
    return ((name, part) for name, part in schema.get("$defs", {}).items() if part.get("properties"))


def _model_section(part: Schema, title: str) -> list[str]:
    table = ["| key | value | default | meaning |", "|---|---|---|---|"]
    required = part.get("required", ())
    rows = [_row(key, value, key in required) for key, value in part["properties"].items()]
    return [f"### {title}", "", _cell(part.get("description", "")), "", *table, *rows, ""]


def _row(key: str, value: Schema, required: bool) -> str:
    default = "required" if required else _default(value)
    return f"| `{key}` | {_kind(value)} | {default} | {_cell(value.get('description', ''))} |"


def _kind(value: Schema) -> str:
    """A schema in a few words, linked to the table of the model it names."""
    if "$ref" in value:
        name = value["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "const" in value:
        return f"`{value['const']}`"
    if "enum" in value:
        return ", ".join(f"`{choice}`" for choice in value["enum"])
    for union in ("anyOf", "oneOf"):
        if union in value:
            return " or ".join(dict.fromkeys(_kind(choice) for choice in value[union] if choice.get("type") != "null"))
    if value.get("type") == "array":
        inside = value.get("items") or {"oneOf": value.get("prefixItems", [])}
        return f"list of {_kind(inside)}" if inside else "list"
    if value.get("type") == "object":
        inside = value.get("additionalProperties")
        return f"mapping to {_kind(inside)}" if isinstance(inside, dict) and inside else "mapping"
    bounds = " ".join(f"{sign} {value[key]:g}" for key, sign in _BOUNDS.items() if key in value)
    return f"{value.get('type', 'anything')} {bounds}".strip()


def _default(value: Schema) -> str:
    default = value.get("default")
    text = json.dumps(default, ensure_ascii=False)
    return "" if default is None else f"`{text}`" if len(text) < 60 else "as in its table"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("``", "`")


def effect_tables(_: str) -> str:
    """Every registered effect: what it is, and its parameters."""
    from stylefx.effects.registry import effect_names, make_effect

    lines: list[str] = []
    for name in effect_names():
        effect = make_effect(name)
        lines += [f"### {name}", "", _cell((type(effect).__doc__ or "").split("\n\n")[0]), ""]
        lines += ["| parameter | unit | range | default | scale |", "|---|---|---|---|---|"]
        lines += [
            f"| `{p.name}` | {p.unit} | {p.minimum:g} .. {p.maximum:g} | {p.default:.4g} | {p.scale} |" for p in effect.parameters
        ]
        lines.append("")
    return "\n".join(lines)


_TABLES: dict[str, Callable[[str], str]] = {"schema": model_tables, "effects": effect_tables}
