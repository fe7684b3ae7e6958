"""A group of commands that are imported on first use.

All of them get -q and -v, examples and exit statuses in their help; a name that is not known gets the near miss.
"""

from __future__ import annotations

import importlib
from typing import Any

import click
from click.shell_completion import CompletionItem

from stylefx.command_line.collector import importing
from stylefx.command_line.examples import EXAMPLES, statuses
from stylefx.command_line.talk import begin_verbose, set_talk
from stylefx.nearest import did_you_mean

_QUIET = "stylefx.quiet"  # in a context's notes


class LazyGroup(click.Group):
    """A click group whose commands are given as ``{"name": ("module:attribute", "short help")}``; ``program``: what is typed."""

    def __init__(
        self, name: str | None = None, lazy: dict[str, tuple[str, str]] | None = None, program: str = "", **options: Any
    ):
        super().__init__(name, **options)
        self._lazy, self._program = lazy or {}, program

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._lazy:
            return None
        module, attribute = self._lazy[cmd_name][0].split(":")
        with importing():
            command: click.Command = getattr(importlib.import_module(module), attribute)
        return with_habits(command, f"{self._program} {cmd_name}".strip())

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and not ctx.resilient_parsing and self.get_command(ctx, args[0]) is None:
            known = ", ".join(self._lazy)
            raise click.UsageError(
                f"there is no command {args[0]!r}{did_you_mean(args[0], self._lazy, f'known are {known}')}", ctx
            )
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The names, without importing a command."""
        if incomplete.startswith("-"):
            return click.Command.shell_complete(self, ctx, incomplete)
        return [CompletionItem(name, help=text) for name, (_, text) in self._lazy.items() if name.startswith(incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in self._lazy.items()])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        _write_examples(formatter, self._program)


def with_habits(command: click.Command, name: str) -> click.Command:
    """The command with what all commands have; once, however often it is asked for."""
    if not any(option.name == "verbose" for option in command.params):
        command.context_settings["help_option_names"] = ["-h", "--help"]
        command.params += [
            click.Option(
                ["-q", "--quiet"],
                is_flag=True,
                is_eager=True,
                expose_value=False,
                callback=_note_quiet,
                help="Print errors only, and what --json asks for.",
            ),
            click.Option(
                ["-v", "--verbose"],
                is_flag=True,
                expose_value=False,
                callback=_talk(name.partition(" ")[0]),
                help="Also print what runs, how long, and where an error comes from.",
            ),
        ]
        _with_examples(command, name)
    return command


def _talk(program: str) -> Any:
    def set_both(ctx: click.Context, param: click.Parameter, verbose: bool) -> bool:
        quiet = bool(ctx.meta.get(_QUIET))
        if quiet and verbose:
            raise click.UsageError("-q and -v contradict one another; give one of them", ctx)
        if not ctx.resilient_parsing:
            set_talk(quiet, verbose)
            if verbose:
                begin_verbose(program)
        return verbose

    return set_both


def _note_quiet(ctx: click.Context, param: click.Parameter, quiet: bool) -> bool:
    ctx.meta[_QUIET] = quiet
    return quiet


def _with_examples(command: click.Command, name: str) -> None:
    """Write them below the options, whatever the command writes there itself."""
    before = command.format_epilog

    def format_epilog(ctx: click.Context, formatter: click.HelpFormatter) -> None:
        before(ctx, formatter)
        _write_examples(formatter, name)

    command.format_epilog = format_epilog  # type: ignore[method-assign]


def _write_examples(formatter: click.HelpFormatter, name: str) -> None:
    if examples := EXAMPLES.get(name):
        with formatter.section("Examples"):
            for line in examples:
                formatter.write(f"{'':{formatter.current_indent}}{line}\n")
    if name:
        with formatter.section("Exit status"):
            formatter.write_dl(statuses(name))
