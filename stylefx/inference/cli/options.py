"""Options and messages that the commands of inference share."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from stylefx.command_line import say
from stylefx.errors import UserError
from stylefx.inference.choices import BITS, DEFAULT_CEILING_DBTP, DEFAULT_PEAK_REDUCTION_DB, PEAKS
from stylefx.progress import step_progress

if TYPE_CHECKING:
    from stylefx.inference.rendering.file import OnFrames, Rendered


def audio_options(loudness_words: tuple[str, ...]) -> Callable[..., Any]:
    """Loudness (the first word is the default), true peak, what holds peaks, and sample format of a command that writes audio."""

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        words = "|".join((*loudness_words, "LUFS"))
        options = (
            click.option(
                "--loudness", default=loudness_words[0], metavar=words, show_default=True,
                help="Loudness of the output: that of a recording, as the effects leave it, or a number in LUFS.",
            ),
            click.option(
                "--true-peak", default=f"{DEFAULT_CEILING_DBTP:g}", metavar="DBTP|off", show_default=True,
                help="Keep the true peak below this; off: keep fixed-point files below full scale only.",
            ),
            click.option(
                "--peaks", type=click.Choice(PEAKS), default=PEAKS[0], show_default=True,
                help="What holds the peaks: a look-ahead limiter, one gain for the whole, or nothing.",
            ),
            click.option(
                "--peak-reduction", "peak_reduction_db", type=float, default=DEFAULT_PEAK_REDUCTION_DB, show_default=True,
                metavar="DB", help="The most that the limiter may take away.",
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
def render_progress(title: str) -> Iterator[OnFrames]:
    """A progress of seconds rendered; passes over the file add up to one bar each."""
    with step_progress(title, 100) as report:
        done = 0

        def advance(frames: int, total: int) -> None:
            nonlocal done
            done += frames
            if total:
                report(min(100, 100 * (done % (total + 1)) // total))

        yield advance


def show_rendered(rendered: Rendered, output: str, err: bool = False) -> None:
    """One line on what was written; on stderr where stdout carries the audio."""
    reading = rendered.output
    loudness = f"{reading.lufs:.1f} LUFS, " if reading.lufs == reading.lufs else ""
    guard = f", true-peak guard {rendered.guard_gain_db:+.2f} dB" if rendered.guard_gain_db else ""
    guard += f", limiter takes at most {rendered.limiter_db:.1f} dB" if rendered.limiter_db else ""
    say(f"{output}: {rendered.seconds:.2f} s, {loudness}true peak {reading.true_peak_dbtp:+.1f} dBTP{guard}", err=err)
    missed = rendered.loudness.sentence()
    if missed:
        say(missed, err=err)


def rendered_numbers(rendered: Rendered, out: str) -> dict[str, Any]:
    """The same for programs; what is not a finite number is null."""
    numbers = {
        "seconds": rendered.seconds,
        "lufs": rendered.output.lufs,
        "true_peak_dbtp": rendered.output.true_peak_dbtp,
        "loudness_gain_db": rendered.loudness_gain_db,
        "true_peak_guard_db": rendered.guard_gain_db,
        "limiter_takes_at_most_db": rendered.limiter_db,
    }
    return {"output": out} | {k: float(v) if math.isfinite(v) else None for k, v in numbers.items()}
