"""YAML and JSON as people write them: strict, and with the place of what is wrong.

Numbers are those of YAML 1.2: 1e-4 is one (YAML 1.1 wants 1.0e-4 and reads a word otherwise).
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

from stylefx.errors import UserError

_MAX_BYTES = 16 * 2**20
_EXPONENT = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+\Z")


_SYNTAX = (yaml.scanner.ScannerError, yaml.parser.ParserError)


class _Loader(yaml.SafeLoader):
    """Safe, and refuses a key given twice and aliases (a small file could expand without end)."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
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
            event = self.peek_event()  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(None, None, "aliases (*name) are not accepted; write it out", event.start_mark)
        return super().compose_node(parent, index)


_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _EXPONENT, list("-+.0123456789"))


def read_yaml(path: str | Path, what: str) -> tuple[Any, yaml.Node | None]:
    """Plain data and the node tree (for line numbers); UserError with line and column for what is not YAML.

    ``what`` the file should be, for messages: "a manifest".
    """
    path = Path(path)
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise UserError(f"{path} has {path.stat().st_size} bytes; {what} has at most {_MAX_BYTES}")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text (byte {error.start}); is it {what}?") from error
    return parse_yaml(text, str(path))


def parse_json(text: str, name: str) -> Any:
    """JSON as a program or a hand wrote it; UserError with the place, also for a key given twice."""
    try:
        return json.loads(text, object_pairs_hook=lambda pairs: _unique(pairs, name))
    except json.JSONDecodeError as error:
        raise UserError(f"{name} line {error.lineno}, column {error.colno}: not valid JSON: {error.msg}") from error
    except RecursionError as error:
        raise UserError(f"{name} is nested too deeply") from error


def _unique(pairs: list[tuple[str, Any]], name: str) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise UserError(f"{name}: the key {twice!r} is given twice")
    return out


def parse_yaml(text: str, name: str) -> tuple[Any, yaml.Node | None]:
    """As ``read_yaml``, of text; ``name`` says in messages where it stands."""
    loader = None
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        return (None if node is None else loader.construct_document(node)), node
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f" line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        kind = "not valid YAML: " if isinstance(error, _SYNTAX) else ""
        raise UserError(f"{name}{where}: {kind}{error.problem or error.context}") from error
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise UserError(f"{name} is not valid YAML: {' '.join(str(error).split())}") from error
    except RecursionError as error:
        raise UserError(f"{name} is nested too deeply") from error
    finally:
        if loader is not None:
            loader.dispose()
