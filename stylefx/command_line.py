"""What both commands share: subcommands imported on first use, and errors turned into one sentence and an exit status.

Exit status: 0 done, 1 internal error, 2 usage or manifest, 3 incomplete (resumable), 4 damage found, 130/143 interrupted.
"""

from __future__ import annotations

import importlib
import sys

import click

from stylefx.errors import StylefxError


class LazyGroup(click.Group):
    """A click group whose commands are given as ``{"name": ("module:attribute", "short help")}``."""

    def __init__(self, *args, lazy: dict[str, tuple[str, str]] | None = None, **kwargs):
        super().__init__(*args, **kwargs)
        self._lazy = lazy or {}

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._lazy:
            return None
        module, attribute = self._lazy[cmd_name][0].split(":")
        return getattr(importlib.import_module(module), attribute)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in self._lazy.items()])


def run(group: click.Group, args: list[str] | None = None) -> None:
    """Run the command and leave the process with its exit status; a user's mistake prints no traceback."""
    try:
        status = group.main(args=args, standalone_mode=False)
    except click.ClickException as error:
        error.show()
        status = 2
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted", err=True)
        status = 130
    except StylefxError as error:
        click.echo(f"error: {error}", err=True)
        status = error.exit_status
    except BrokenPipeError:  # the reader of a pipe left, as in `| head`
        sys.stderr.close()
        status = 0
    sys.exit(status if isinstance(status, int) else 0)
