"""What a command prints or writes: a document goes to stdout, or whole into a new file."""

from __future__ import annotations

from pathlib import Path

import click

from stylefx.command_line import say
from stylefx.files.atomic import check_free, publish_text


def give(text: str, out: Path | None, overwrite: bool) -> None:
    """A document on stdout, also with -q, or in the file ``out``; UserError for one that exists, without ``overwrite``."""
    if out is None:
        click.echo(text, nl=False)
        return
    publish_text(check_free(out, overwrite), text)
    say(f"wrote {out}", err=True)
