"""``stylefx render``: settings onto a recording, without a model and without torch."""

from __future__ import annotations

import click

from stylefx.command_line import ends_like_interrupt, importing, json_option, out_option, show_json
from stylefx.inference.cli.options import (
    audio_options,
    parse_ceiling,
    parse_loudness,
    render_progress,
    rendered_numbers,
    show_rendered,
)
from stylefx.inference.cli.pipes import STANDARD, readable, writable


@click.command()
@click.argument("source", metavar="INPUT")
@click.option("--settings", "settings_file", required=True, metavar="FILE", help="Settings as `stylefx transfer` writes them.")
@out_option("Output file: .wav, .flac or .aiff; - is standard output.", required=True, metavar="OUT")
@click.option(
    "--follow-level", is_flag=True, help="Move thresholds and gain with the level of INPUT, so that it gets the same style."
)
@click.option("--overwrite", is_flag=True, help="Replace a file that exists.")
@click.option("--no-tags", is_flag=True, help="Leave tags, cover and broadcast chunks of the input behind.")
@click.option("--amount", "amounts", default="", metavar="STAGE=A,...", help="How much of a stage: equaliser=0.5,compressor=1.")
@audio_options(("as-is",))
@json_option("Print loudness, peaks and gains as JSON.")
def render(
    source: str,
    settings_file: str,
    out: str,
    follow_level: bool,
    overwrite: bool,
    no_tags: bool,
    amounts: str,
    loudness: str,
    true_peak: str,
    peaks: str,
    peak_reduction_db: float,
    bits: str | None,
    as_json: bool,
) -> None:
    """Render INPUT (- is standard input) with settings.

    Thresholds hold at the level of the recording that the settings were made for.
    """
    with importing():
        from stylefx.inference.follow import at_level_of
        from stylefx.inference.hearing.amounts import parse_amounts, with_amounts
        from stylefx.inference.rendering.file import Loudness, render_file  # compiled effects take a third of a second to load
        from stylefx.inference.settings_file import load_settings

    target = parse_loudness(loudness, ("as-is",))
    wanted = Loudness(None if isinstance(target, str) else target, parse_ceiling(true_peak), peaks, peak_reduction_db)
    style = load_settings(settings_file)
    if amounts:
        style = with_amounts(style, parse_amounts(amounts))
    with ends_like_interrupt(), readable(source) as recording, writable(out) as file, render_progress("render") as progress:
        if follow_level:
            style = at_level_of(recording, style)
        rendered = render_file(
            recording,
            style,
            file,
            bits=bits,
            loudness=wanted,
            progress=progress,
            overwrite=overwrite,
            keep_tags=not no_tags,
        )
    if as_json and out != STANDARD:
        show_json(rendered_numbers(rendered, out))
    else:
        show_rendered(rendered, out, err=out == STANDARD)
