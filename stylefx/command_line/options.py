"""Options that mean the same in every command."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def out_option(help: str, *names: str, **more: Any) -> Decorator:
    """``-o``/``--out`` (``--output``, as it was called in some commands, still works, and so do ``names``), as the argument
    ``out``."""
    return click.option("-o", "--out", "--output", *names, "out", help=help, **more)


def json_option(help: str = "Print JSON.") -> Decorator:
    """``--json``, as the argument ``as_json``."""
    return click.option("--json", "as_json", is_flag=True, help=help)


def overwrite_option(help: str = "Replace files that exist.") -> Decorator:
    return click.option("--overwrite", is_flag=True, help=help)


def overridable(command: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator: the command takes [NAME=VALUE]... and --set NAME=VALUE, which mean the same, as one tuple ``overrides``."""

    @click.argument("assignments", nargs=-1, metavar="[NAME=VALUE]...")
    @click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="The same as NAME=VALUE; may be given again.")
    @functools.wraps(command)
    def merged(*args: Any, assignments: tuple[str, ...], settings: tuple[str, ...], **options: Any) -> Any:
        return command(*args, overrides=(*assignments, *settings), **options)

    return merged
