"""``stylefx render``: settings onto a recording, without a model and without torch."""

from __future__ import annotations

import click

from stylefx.inference.options import audio_options, parse_ceiling, parse_loudness, render_progress, show_rendered
from stylefx.inference.rendering import Loudness, render_file
from stylefx.inference.settings_file import load_settings


@click.command()
@click.argument("source", metavar="INPUT")
@click.option("--settings", "settings_file", required=True, metavar="FILE", help="Settings as `stylefx transfer` writes them.")
@click.option("-o", "--output", required=True, metavar="OUT", help="Output file: .wav, .flac or .aiff.")
@audio_options(("as-is",))
def render(source: str, settings_file: str, output: str, loudness: str, true_peak: str, bits: str | None) -> None:
    """Render INPUT with settings. Thresholds hold at the level of the recording that the settings were made for."""
    target = parse_loudness(loudness, ("as-is",))
    wanted = Loudness(None if isinstance(target, str) else target, parse_ceiling(true_peak))
    style = load_settings(settings_file)
    with render_progress("render") as progress:
        rendered = render_file(source, style, output, bits=bits, loudness=wanted, progress=progress)
    show_rendered(rendered, output)
