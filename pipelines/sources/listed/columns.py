"""What is known of a recording besides its audio: columns of texts, whatever they were read from."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

_TEXTS = (".json", ".txt", ".cls")
_MOST_CHARACTERS = 4000


def stem(name: str) -> str:
    """WebDataset's key: the name up to the first dot of its last part."""
    folder, slash, base = name.rpartition("/")
    return folder + slash + base.split(".", 1)[0]


def is_text(name: str) -> bool:
    """Whether a member of an archive describes the audio of the same key: KEY.json, KEY.txt, KEY.cls."""
    return name.lower().endswith(_TEXTS)


def add_text(texts: dict[str, dict[str, str]], name: str, data: bytes) -> None:
    """Read such a member into the columns of its key. A JSON object gives its fields, another text one column of its ending."""
    columns = texts.setdefault(stem(name), {})
    ending = name.rpartition(".")[2].lower()
    if ending != "json":
        columns.setdefault(ending, _writable(data.decode("utf-8", "replace").strip()))
        return
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        return
    if isinstance(content, dict):
        columns.update(plain_columns(content))


def plain_columns(data: dict[str, Any]) -> dict[str, str]:
    """Texts, numbers and truths of nested objects, as texts; a field of an object in an object is ``outer.inner``."""
    return dict(_flat("", data))


def _flat(prefix: str, data: dict[str, Any], depth: int = 0) -> Iterator[tuple[str, str]]:
    for key, value in data.items():
        name = f"{prefix}{key}"
        if isinstance(value, bool):
            yield name, "true" if value else "false"
        elif isinstance(value, (str, int, float)):
            yield name, _writable(str(value))
        elif isinstance(value, dict) and depth < 4:
            yield from _flat(f"{name}.", value, depth + 1)


def _writable(text: str) -> str:
    """Without what a catalog cannot hold: halves of surrogate pairs, and texts without end."""
    return text[:_MOST_CHARACTERS].encode("utf-8", "replace").decode("utf-8")
