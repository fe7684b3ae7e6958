"""``stylefx export``: settings as a file that another program runs."""

from __future__ import annotations

from pathlib import Path

import click

from stylefx.inference.publish import publish_text
from stylefx.inference.settings_file import load_settings

_TARGETS = ("ffmpeg", "sox", "pedalboard", "reaper")


@click.command()
@click.argument("settings_file", metavar="SETTINGS")
@click.option("--to", "target", required=True, type=click.Choice(_TARGETS), help="The program to write for.")
@click.option("-o", "--output", required=True, metavar="FILE", help="The file to write.")
def export(settings_file: str, target: str, output: str) -> None:
    """Write SETTINGS for ffmpeg or SoX (a shell script), pedalboard (a Python script) or REAPER (a JSFX plug-in).

    What the target does otherwise than `stylefx render` is said in comments at the head of the file.
    """
    from stylefx.inference.export import TARGETS, export_text

    publish_text(Path(output), export_text(load_settings(settings_file), target))
    click.echo(f"{output}: {TARGETS[target][2].replace('FILE', output)}")
