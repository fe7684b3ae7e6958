"""How much a command says: results by ``say``, JSON by ``show_json``.

-q keeps errors and JSON only, -v adds what runs and how long.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import click

from stylefx.progress import be_quiet

_state: dict[str, Any] = {"quiet": False, "verbose": False, "started": (0.0, 0.0)}


def set_talk(quiet: bool = False, verbose: bool = False) -> None:
    """For the command that runs now."""
    _state.update(quiet=quiet, verbose=verbose, started=(time.perf_counter(), time.process_time()))
    be_quiet(quiet)
    if verbose:
        _log_to_stderr()


def is_quiet() -> bool:
    return bool(_state["quiet"])


def is_verbose() -> bool:
    return bool(_state["verbose"])


def say(text: str = "", err: bool = False, nl: bool = True) -> None:
    """A result, or a note, for people."""
    if not is_quiet():
        click.echo(text, err=err, nl=nl)


def show_json(data: Any) -> None:
    """A result for programs: one JSON document on stdout, also with -q."""
    click.echo(json.dumps(data, indent=2, ensure_ascii=False, default=str))


def begin_verbose(program: str) -> None:
    """What runs, on stderr."""
    import platform

    from stylefx import __version__

    click.echo(
        f"{program} {__version__}, Python {platform.python_version()} on {platform.platform()}, {sys.executable}", err=True
    )


def end_verbose(status: int) -> None:
    """How long it took, on stderr."""
    wall, cpu = (now - then for now, then in zip((time.perf_counter(), time.process_time()), _state["started"], strict=True))
    click.echo(f"ends with {status} after {wall:.2f} s, {cpu:.2f} s of this process's CPU", err=True)


def _log_to_stderr() -> None:
    """Everything that is logged below what is printed anyway."""
    import logging

    from stylefx.logs import logger

    if not any(isinstance(handler, logging.StreamHandler) for handler in logger.handlers):
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s %(message)s"))
        handler.addFilter(lambda record: record.levelno in (logging.DEBUG, logging.WARNING))  # commands print the others
        logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
