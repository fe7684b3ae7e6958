"""Options and messages that the commands of inference share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from stylefx.errors import UserError
from stylefx.inference.rendering import BITS, DEFAULT_CEILING_DBTP, Progress, Rendered
from stylefx.progress import step_progress


def audio_options(loudness_words: tuple[str, ...]) -> Callable:
    """--loudness, --true-peak and --bits for a command that writes audio."""

    def add(command: Callable) -> Callable:
        words = "|".join((*loudness_words, "LUFS"))
        options = (
            click.option(
                "--loudness", default="as-is", metavar=words, show_default=True,
                help="Loudness of the output: as the effects leave it, that of a recording, or a number in LUFS.",
            ),
            click.option(
                "--true-peak", default=f"{DEFAULT_CEILING_DBTP:g}", metavar="DBTP|off", show_default=True,
                help="Lower the output where its true peak is above this; off: keep fixed-point files below full scale only.",
            ),
            click.option(
                "--bits", type=click.Choice(list(BITS)), help="Sample format; default: float for float inputs, else 24 bits."
            ),
        )  # fmt: skip
        for option in reversed(options):
            command = option(command)
        return command

    return add


def parse_ceiling(text: str) -> float | None:
    """The value of --true-peak in dBTP, None for off."""
    if text == "off":
        return None
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not -60.0 <= value <= 20.0:
        raise UserError(f"--true-peak is {text!r}; give a level in dBTP, such as -1, or off")
    return value


def parse_loudness(text: str, words: tuple[str, ...]) -> str | float:
    """The value of --loudness: one of ``words`` or a number in LUFS."""
    if text in words:
        return text
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not -70.0 < value <= 0.0:
        raise UserError(f"--loudness is {text!r}; give {', '.join(words)} or a number in LUFS, such as -16")
    return value


@contextmanager
def render_progress(title: str) -> Iterator[Progress]:
    """A progress of seconds rendered; passes over the file add up to one bar each."""
    with step_progress(title, 100) as report:
        done = 0

        def advance(frames: int, total: int) -> None:
            nonlocal done
            done += frames
            if total:
                report(min(100, 100 * (done % (total + 1)) // total))

        yield advance


def show_rendered(rendered: Rendered, output: str) -> None:
    """One line on what was written."""
    reading = rendered.output
    loudness = f"{reading.lufs:.1f} LUFS, " if reading.lufs == reading.lufs else ""
    guard = f", true-peak guard {rendered.guard_gain_db:+.2f} dB" if rendered.guard_gain_db else ""
    click.echo(f"{output}: {rendered.seconds:.2f} s, {loudness}true peak {reading.true_peak_dbtp:+.1f} dBTP{guard}")
